"""The embedded engine, once for the whole test process: chDB allows one data path per process. What tests measured."""

import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from collector.config import StoreConfig
from collector.store import Store, migrate, open_store
from collector.web.native import native_modules
from tests.support.budgets import Desk

# Processes share few cores here: how long one example takes says nothing.
settings.register_profile("spanmeter", deadline=None)
settings.load_profile("spanmeter")

_numbers = itertools.count(1)

_MEASURED = "measured"


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Adds a line to the end of the run's output: what the test measured, from whichever process it ran in."""
    return functools.partial(record_property, _MEASURED)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Without budgets."""
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name == _MEASURED:
                terminalreporter.write_line(str(value))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--native", choices=["all", "none"], help="end the run unless all, or none, of them are compiled")


def pytest_configure(config: pytest.Config) -> None:
    expected = config.getoption("--native")
    compiled = [name for name, native in native_modules().items() if native]
    if (expected == "none" and compiled) or (expected == "all" and len(compiled) < len(native_modules())):
        raise pytest.UsageError(f"--native={expected}, but these native modules are compiled: {compiled}.")


@pytest.fixture(scope="session")
def engine_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose embedded engine is running."""
    directory = tmp_path_factory.mktemp("engine")
    keeper = open_store(StoreConfig(), directory)
    yield directory
    keeper.close()


@pytest.fixture(scope="session")
def migrated(engine_directory: Path) -> Iterator[Callable[[str], None]]:
    """Makes a database as migrations leave it, from a backup: applying them for every test takes a second each."""
    template = open_store(StoreConfig(database="migrated", ttl=0), engine_directory)
    migrate(template, 0)
    template.command("BACKUP DATABASE migrated TO Memory('migrated')")
    yield lambda name: template.command(f"RESTORE DATABASE migrated AS `{name}` FROM Memory('migrated')")
    template.close()


@pytest.fixture
def embedded_config() -> StoreConfig:
    """The embedded engine with a database of the test's own, which keeps rows of any age."""
    return StoreConfig(database=f"test_{next(_numbers)}", ttl=0)


@pytest.fixture
def store(engine_directory: Path, embedded_config: StoreConfig, migrated: Callable[[str], None]) -> Iterator[Store]:
    """An open, migrated store with a database of the test's own."""
    opened = open_store(embedded_config, engine_directory)
    try:
        migrated(embedded_config.database)
        migrate(opened, int(embedded_config.ttl))
        yield opened
    finally:
        opened.command(f"DROP DATABASE IF EXISTS `{embedded_config.database}`")
        opened.close()
