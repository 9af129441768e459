"""The store, for commands that work on it themselves where no daemon does."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from collector.backups import refuse_unfinished
from collector.config import Config
from collector.errors import StartError
from collector.files import DirectoryInUse, lock_directory
from collector.store import Store, embedded_path, migrate, open_store


@contextmanager
def store_lock(config: Config) -> Iterator[None]:
    """Keep a daemon from the embedded store; a server needs no lock.

    Raises DirectoryInUse while a daemon has it, StartError when this user may not.
    """
    if not config.store.embedded:
        yield
        return
    refuse_unfinished(config.directory)
    lock = lock_directory(config.directory / "spool")
    try:
        _refuse_root(lock, config.directory)
        yield
    finally:
        os.close(lock)


def _refuse_root(lock: int, directory: Path) -> None:
    """Raises StartError for root in the directory of a daemon with another user, which could not read what root writes.

    That user is who made the lock.
    """
    owner = os.fstat(lock).st_uid
    if os.geteuid() == 0 != owner:
        raise StartError(
            f"The daemon of {directory} runs as the user {owner}, who could not read what root writes there. "
            f"Run this as that user: setpriv --reuid={owner} --clear-groups spanmeter ..."
        )


@contextmanager
def own_store(config: Config) -> Iterator[Store | None]:
    """The store, opened here; None while a daemon has the embedded one.

    Raises StartError where there is none yet, or it cannot be opened.
    """
    missing = StartError(f"There is no store in {config.directory}; is this the right data directory?")
    if config.store.embedded:
        refuse_unfinished(config.directory)
        if not (config.directory / "spool").is_dir():
            raise missing  # before a lock is written into whatever this is
    with ExitStack() as stack:
        try:
            stack.enter_context(store_lock(config))
        except DirectoryInUse:
            yield None
            return
        if config.store.embedded and not embedded_path(config.store, config.directory).is_dir():
            raise missing
        store = stack.enter_context(closing(open_store(config.store, config.directory)))
        migrate(store, **config.store.ttls())
        yield store
