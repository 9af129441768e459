"""New settings for a running daemon: which part takes which, and what is said of the rest."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from structlog.testing import capture_logs

from collector.app import parts_of
from collector.config import Config
from collector.config.settings import is_reloadable
from collector.errors import ConfigError, Reason, Unavailable
from collector.model.clock import SystemClock
from collector.part import Part
from collector.reloading import Reloading
from collector.telemetry import Metrics

TOKEN = {"name": "a", "sha256": "0" * 64, "project": "p", "scopes": ["traces:write"]}


def reloadable_settings(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The paths of the settings marked as reloadable; one covers those below it."""
    for name, field in section.model_fields.items():
        if is_reloadable(field):
            yield f"{prefix}{name}"
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from reloadable_settings(field.annotation, f"{prefix}{name}.")


class Taking(Part):
    """Takes tokens and remembers them."""

    name = "taking"
    settings = ("auth", "limits")
    reloadable = ("auth",)

    def __init__(self) -> None:
        self.tokens: Sequence[Any] = ()
        self.failure: Unavailable | None = None

    async def reload(self, config: Config) -> None:
        if self.failure:
            raise self.failure
        self.tokens = config.auth.tokens


class File:
    """What the settings say when they are read next."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def read(self) -> Config:
        return Config.model_validate(self.settings)


def reload(part: Part, start: Config, *reads: File | ConfigError) -> list[list[tuple[str, Any, Any]]]:
    """The log lines of each reload in turn: event, part, settings."""

    async def run() -> list[list[tuple[str, Any, Any]]]:
        waiting = list(reads)

        def read() -> Config:
            found = waiting.pop(0)
            if isinstance(found, ConfigError):
                raise found
            return found.read()

        reloading, lines = Reloading([part], start, read), []
        for _ in reads:
            with capture_logs() as logs:
                await reloading.reload()
            lines.append([(line["event"], line.get("part"), line.get("settings")) for line in logs])
        return lines

    return asyncio.run(run())


RESTART = "Changed settings need a restart; until then the old ones hold."


def test_a_part_takes_what_it_can_and_the_rest_needs_a_restart_each_time_it_is_asked() -> None:
    part = Taking()
    changed = File(auth={"tokens": [TOKEN]}, limits={"max_in_flight_bytes": 1 << 27}, shutdown_timeout="5s")
    first, second = reload(part, Config(), changed, changed)
    restarts = [(RESTART, "taking", ["limits.max_in_flight_bytes"]), (RESTART, "daemon", ["shutdown_timeout"])]
    assert first == [("Reloaded.", "taking", ["auth.tokens"]), *restarts]
    assert second == restarts
    assert len(part.tokens) == 1


def test_settings_that_cannot_be_taken_are_tried_again_with_the_next_reload() -> None:
    part = Taking()
    part.failure = Unavailable(Reason.DISK, "The disk is full.")
    changed = File(auth={"tokens": [TOKEN]})
    first, second = reload(part, Config(), changed, changed)
    assert first == second == [("A part was not reloaded and keeps its settings.", "taking", ["auth.tokens"])]
    assert part.tokens == ()


def test_a_file_that_cannot_be_read_changes_nothing_and_one_without_changes_says_so() -> None:
    broken, same = reload(Taking(), Config(), ConfigError("The file is not YAML."), File())
    assert [event for event, _, _ in broken] == ["The configuration was not reloaded; every part keeps its settings."]
    assert [event for event, _, _ in same] == ["The configuration was reloaded; no setting has changed."]


def test_addresses_that_others_reach_keep_their_tokens() -> None:
    exposed = {"tokens": [TOKEN]}
    part = Taking()
    start = Config.model_validate({"web": {"endpoint": "0.0.0.0:0"}, "auth": exposed})
    (lines,) = reload(part, start, File())
    assert [event for event, _, _ in lines] == ["The configuration was not reloaded; every part keeps its settings."]


def test_tokens_that_a_file_has_lost_are_kept_until_anonymous_requests_are_allowed() -> None:
    """An editor may write a file in two steps."""
    part, kept = Taking(), "The configuration was not reloaded; every part keeps its settings."
    guarded, lost, meant = File(auth={"tokens": [TOKEN]}), File(), File(auth={"allow_anonymous": True})
    lines = reload(part, Config(), lost, guarded, lost, meant, lost)
    assert [[event for event, _, _ in each] for each in lines] == [
        ["The configuration was reloaded; no setting has changed."],
        ["Reloaded."],
        [kept],
        ["Reloaded."],
        ["Reloaded."],
    ]
    assert part.tokens == ()


@pytest.mark.parametrize("processes", [1, 2])
def test_every_setting_belongs_to_a_part_or_to_the_daemon_itself(tmp_path: Path, processes: int) -> None:
    """Otherwise SIGHUP would pass over it without a word, or name the daemon for what is a part's."""

    async def run() -> None:
        config = Config.model_validate({"data_dir": str(tmp_path), "processes": processes})
        parts = parts_of(config, SystemClock(), Metrics(CollectorRegistry()))
        try:
            assert len({part.name for part in parts}) == len(parts)
            read = {path for part in parts for path in part.settings}
            assert set(Config.model_fields) - {path.partition(".")[0] for path in read} == {
                "shutdown_timeout",
                "telemetry",
            }
            taken = {path for part in parts for path in part.reloadable}
            assert taken <= read
            assert taken == set(reloadable_settings(Config)), "as docs say"
        finally:
            for part in reversed(parts):
                part.close()

    asyncio.run(run())
