"""The embedded engine, once for the whole test process: chDB allows one data path per process."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.config import StoreConfig
from collector.store import Store, migrate, open_store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def engine_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose embedded engine is running."""
    directory = tmp_path_factory.mktemp("engine")
    keeper = open_store(StoreConfig(), directory)
    yield directory
    keeper.close()


@pytest.fixture
def embedded_config() -> StoreConfig:
    """The embedded engine with a database of the test's own, which keeps rows of any age."""
    return StoreConfig(database=f"test_{next(_numbers)}", ttl=0)


@pytest.fixture
def store(engine_directory: Path, embedded_config: StoreConfig) -> Iterator[Store]:
    """An open, migrated store with a database of the test's own."""
    opened = open_store(embedded_config, engine_directory)
    try:
        migrate(opened, int(embedded_config.ttl))
        yield opened
    finally:
        opened.command(f"DROP DATABASE IF EXISTS `{embedded_config.database}`")
        opened.close()
