"""Taking a backup of one moment while the daemon goes on.

For as long as the engine notes its parts, which are milliseconds, and the spool is copied, nothing is inserted: each
accepted span is then in the noted parts or in the copied spool, and in only one of them. Requests are accepted
meanwhile. The parts are copied afterwards, beside everything else.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from collector import __version__
from collector.backups.copies import copy_beside_store, sync_tree
from collector.backups.digests import write_digests
from collector.backups.manifest import Manifest, finished, unfinished, write_manifest
from collector.config import Config
from collector.errors import Reason, Rejected, StartError, Unavailable
from collector.files import LOCK, sync_directory
from collector.model.clock import Clock
from collector.model.progress import Progress
from collector.store import Store
from collector.store.backup import BackupState, backup_state, begin_backup, cancel_backup, stored_rows
from collector.store.migrate import migrations

log = structlog.get_logger("spanmeter.backups")

_POLL_SECONDS: Final = 0.02
_MAX_NOTING_SECONDS: Final = 30.0

Hold = AbstractContextManager[object]


def refuse_server(config: Config) -> None:
    """Raises Rejected where the store is not the embedded one."""
    if not config.store.embedded:
        raise Rejected(
            Reason.MALFORMED,
            "The store is a ClickHouse server: back it up there, with its BACKUP or clickhouse-backup. The data "
            "directory has only spans that are on their way to it.",
        )


class Backups:
    """Backups of one data directory, one at a time, in `directory`.

    What `holds` enter keeps its writers from beginning anything new, and waits for what they have begun.
    """

    def __init__(self, config: Config, store: Callable[[], Store], holds: Sequence[Hold], clock: Clock) -> None:
        self._config = config
        self.directory = config.store.backups_in(config.directory)
        self._store = store
        self._holds = holds
        self._clock = clock

    def take(self, progress: Progress, full: bool = False) -> Manifest:
        """Back up everything; unless `full`, by copying only what the latest backup does not have. Blocking.

        `progress` counts bytes of the store. Raises Unavailable or Rejected, and what `progress` raises.
        """
        refuse_server(self._config)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone_in(self.directory):
                return self._take(progress, full=full)
        except (OSError, StartError) as error:
            raise Unavailable(Reason.DISK, f"The backup in {self.directory} failed: {error}") from error

    def taken(self, progress: Progress, full: bool = False) -> dict[str, object]:
        """`take`; what a job tells of it: the manifest, and the `directory` that the backup lies in."""
        return {**asdict(self.take(progress, full=full)), "directory": str(self.directory)}

    def _take(self, progress: Progress, *, full: bool) -> Manifest:
        base = self._prepare(full=full)
        begun = self._clock.time_ns()
        name = f"{datetime.fromtimestamp(begun // 10**9, UTC):%Y%m%dT%H%M%S}{begun // 10**6 % 1000:03}Z"
        store = self._store().clone()
        try:
            bandwidth = self._config.store.backup_bandwidth
            with _directory_of(self.directory / name) as target, _engine_backup(store, bandwidth) as engine:
                with self._nothing_written():
                    engine.begin(name, base)
                    rows = stored_rows(store)
                    copy_beside_store(self._config.directory, target)
                state = engine.wait(progress)
                sums = write_digests(target)
                sync_tree(target)
                manifest = Manifest(
                    name=name,
                    base=base,
                    taken_at_unix_nano=begun,
                    version=__version__,
                    schema=migrations()[-1].version,
                    database=store.database,
                    rows=dict(rows),
                    bytes=state.bytes,
                    sums=sums,
                    data_dir=str(self._config.directory.resolve()),
                )
                write_manifest(target, manifest)
        finally:
            store.close()
        log.info("A backup is finished.", name=name, base=base, bytes=state.bytes, directory=str(self.directory))
        return manifest

    def _prepare(self, *, full: bool) -> str:
        """The base of the next backup, one of the same data directory, once nothing is left of failed ones."""
        for left in unfinished(self.directory):
            shutil.rmtree(left)
        own = str(self._config.directory.resolve())
        there = [one for one in finished(self.directory) if one.data_dir in {own, ""}]
        return there[-1].name if there and not full else ""

    @contextmanager
    def _nothing_written(self) -> Iterator[None]:
        with ExitStack() as stack:
            for hold in self._holds:
                stack.enter_context(hold)
            yield


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """What another daemon's backup has not finished there looks like what a failed one left."""
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        text = f"Another backup is being made in {directory}. Ask again when it has ended."
        raise Unavailable(Reason.BUSY, text) from None
    finally:
        os.close(fd)


@contextmanager
def _directory_of(backup: Path) -> Iterator[Path]:
    """The directory of a backup, which goes again when the backup fails."""
    try:
        backup.mkdir(mode=0o700)
    except FileExistsError:
        raise Unavailable(Reason.BUSY, f"{backup} was begun in this very millisecond; ask again.") from None
    sync_directory(backup.parent)
    try:
        yield backup
    except BaseException:
        shutil.rmtree(backup, ignore_errors=True)
        raise


class _EngineBackup:
    """The engine's part of a backup."""

    def __init__(self, store: Store, bandwidth: int) -> None:
        self._store = store
        self._bandwidth = bandwidth
        self._id = ""

    def begin(self, name: str, base: str) -> None:
        """Return once the engine has noted its parts."""
        self._id = begin_backup(self._store, name, base, self._bandwidth)
        deadline = time.monotonic() + _MAX_NOTING_SECONDS
        while not backup_state(self._store, self._id).noted:
            if time.monotonic() > deadline:
                raise Unavailable(Reason.STORE, "The engine did not get to the backup; try again when it is less busy.")
            time.sleep(_POLL_SECONDS)

    def wait(self, progress: Progress) -> BackupState:
        """Return once all is copied."""
        while not (state := backup_state(self._store, self._id)).done:
            progress(state.bytes, 0)
            time.sleep(_POLL_SECONDS)
        self._id = ""
        return state

    def cancel(self) -> None:
        if self._id:
            cancel_backup(self._store, self._id)


@contextmanager
def _engine_backup(store: Store, bandwidth: int) -> Iterator[_EngineBackup]:
    backup = _EngineBackup(store, bandwidth)
    try:
        yield backup
    finally:
        backup.cancel()
