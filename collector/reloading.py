"""New settings for a running daemon: part by part, what was taken and what needs a restart."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog

from collector.config import Config, is_loopback
from collector.errors import ConfigError, SpanmeterError
from collector.part import Part

log = structlog.get_logger("spanmeter")

Settings = Mapping[str, Any]


class Reloading:
    """Compares the settings with those in force and hands each part the changes that it takes while running.

    `read` reads the settings again and raises ConfigError.
    """

    def __init__(self, parts: Sequence[Part], config: Config, read: Callable[[], Config]) -> None:
        self._parts = parts
        self._read = read
        self._config = config
        self._guarded = bool(config.auth.tokens)  # requests need a token
        self._in_force: dict[str, dict[str, Any]] = {part.name: _below(part.settings, config) for part in parts}
        self._of_daemon = _unread(parts, config)
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()  # kept, or they would be collected while they run

    def request(self) -> None:
        """Reload soon. Belongs to the event loop, as a signal handler."""
        task = asyncio.get_running_loop().create_task(self.reload(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reload(self) -> None:
        """Read the settings and have every part take its own. Logs what happened, and raises nothing of it."""
        async with self._one_at_a_time:
            try:
                config = await asyncio.to_thread(self._read)
                self._refuse_exposure(config)
            except ConfigError as error:
                log.error("The configuration was not reloaded; every part keeps its settings.", why=str(error))
                return
            self._guarded = bool(config.auth.tokens)
            outcomes = [await self._reload_part(part, config) for part in self._parts]
            restart = _changed(self._of_daemon, _unread(self._parts, config))
            if restart:
                _needs_restart("daemon", restart)
            if not restart and not any(outcomes):
                log.info("The configuration was reloaded; no setting has changed.")

    def _refuse_exposure(self, config: Config) -> None:
        """Tokens may not all go by themselves: someone may be writing the file just now. Raises ConfigError.

        Ports stay bound as they are, so that those which others can reach keep their tokens as well.
        """
        if config.auth.tokens or config.auth.allow_anonymous:
            return
        if not all(map(is_loopback, self._config.endpoints().values())):
            raise ConfigError("Without a token, anyone could use the addresses now bound.")
        if self._guarded:
            raise ConfigError(
                "The file has lost its tokens, and anyone on this machine could use the daemon without one. Set "
                "auth.allow_anonymous: true if that is meant."
            )

    async def _reload_part(self, part: Part, config: Config) -> bool:
        """Have a part take what it can; whether any of its settings has changed."""
        in_force, wanted = self._in_force[part.name], _below(part.settings, config)
        changed = _changed(in_force, wanted)
        takes = [path for path in changed if _covers(part.reloadable, path)]
        if takes:
            await self._hand_over(part, config, takes)
        if restart := [path for path in changed if path not in takes]:
            _needs_restart(part.name, restart)
        return bool(changed)

    async def _hand_over(self, part: Part, config: Config, takes: Sequence[str]) -> None:
        try:
            await part.reload(config)
        except SpanmeterError as error:
            log.error("A part was not reloaded and keeps its settings.", part=part.name, settings=takes, why=str(error))
            return
        except Exception:  # a defect of one part must not keep the others from their settings
            log.exception("A part could not be reloaded; it may have some of its settings.", part=part.name)
            return
        wanted = _below(part.settings, config)
        for path in takes:
            self._in_force[part.name].pop(path, None)
            if path in wanted:
                self._in_force[part.name][path] = wanted[path]
        log.info("Reloaded.", part=part.name, settings=takes)


def _needs_restart(part: str, settings: Sequence[str]) -> None:
    log.warning("Changed settings need a restart; until then the old ones hold.", part=part, settings=settings)


def _below(paths: Iterable[str], config: Config) -> dict[str, Any]:
    """The settings at and below `paths`, by their own paths."""
    paths = tuple(paths)
    return {path: value for path, value in _flat(config.model_dump()).items() if _covers(paths, path)}


def _unread(parts: Iterable[Part], config: Config) -> dict[str, Any]:
    """The settings that no part is made from: the daemon's own."""
    read = tuple(path for part in parts for path in part.settings)
    return {path: value for path, value in _flat(config.model_dump()).items() if not _covers(read, path)}


def _covers(paths: Iterable[str], path: str) -> bool:
    return any(path == one or path.startswith(f"{one}.") for one in paths)


def _changed(before: Settings, after: Settings) -> list[str]:
    missing = object()
    return sorted(path for path in {*before, *after} if before.get(path, missing) != after.get(path, missing))


def _flat(section: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every setting by its path, as the file names it; lists, and mappings without entries, are one setting."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            flat.update(_flat(value, f"{path}."))
        else:
            flat[path] = value
    return flat
