"""The store, for commands that work on it themselves where no daemon does."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from collector.config import Config
from collector.errors import StartError
from collector.files import lock_directory
from collector.store import Store, migrate, open_store


@contextmanager
def own_store(config: Config) -> Iterator[Store | None]:
    """The store, opened here; None while a daemon has the embedded one. Raises StartError where there is none yet."""
    if config.store.embedded and not config.directory.is_dir():
        raise StartError(f"There is no store in {config.directory}; is this the right data directory?")
    lock = None
    if config.store.embedded:
        try:
            lock = lock_directory(config.directory / "spool")
        except StartError:
            yield None
            return
    store = open_store(config.store, config.directory)
    try:
        migrate(store, int(config.store.ttl))
        yield store
    finally:
        store.close()
        if lock is not None:
            os.close(lock)
