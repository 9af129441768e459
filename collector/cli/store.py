"""The store, for commands that work on it themselves where no daemon does."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from collector.backups import refuse_unfinished
from collector.config import Config
from collector.errors import StartError
from collector.files import DirectoryInUse, lock_directory
from collector.store import Store, embedded_path, migrate, open_store


@contextmanager
def store_lock(config: Config) -> Iterator[None]:
    """Keep a daemon from the embedded store. Raises StartError while one has it; a server needs no lock."""
    if not config.store.embedded:
        yield
        return
    refuse_unfinished(config.directory)
    lock = lock_directory(config.directory / "spool")
    try:
        yield
    finally:
        os.close(lock)


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
