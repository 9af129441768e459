"""The daemon's connection to ClickHouse: opened and migrated in the background, for as long as that takes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from collector.config import Config
from collector.errors import Reason, Unavailable
from collector.part import Part
from collector.store.client import Store, open_store
from collector.store.migrate import migrate
from collector.telemetry import Metrics

log = structlog.get_logger("spanmeter.store")

_FIRST_PAUSE = 0.25


class StoreConnection(Part):
    """Spans are spooled until the store is ready."""

    name = "store"
    settings = (
        "store.url",
        "store.database",
        "store.cluster",
        "store.ttl",
        "store.logs_ttl",
        "store.metrics_ttl",
        "store.evaluations_ttl",
        "store.insert_timeout",
        "store.retry_max_interval",
        "store.compression",
        "store.max_memory",
    )

    def __init__(self, config: Config, metrics: Metrics) -> None:
        self._config = config.store
        self._directory: Path = config.directory
        self._metrics = metrics
        self._on_open: list[Callable[[Store], None]] = []
        self._store: Store | None = None
        self._unready_reason = "The store is not open yet."

    def on_open(self, work: Callable[[Store], None]) -> None:
        """Have `work` done with the store, in a thread, before anyone else gets it. It may raise Unavailable."""
        self._on_open.append(work)

    def ready(self) -> Store:
        """The store. Any thread may ask. Raises Unavailable while it is not open and migrated."""
        if self._store is None:
            raise Unavailable(Reason.STORE, self._unready_reason)
        return self._store

    async def run(self) -> None:
        """Connect and migrate, and try again until that succeeds."""
        pause = _FIRST_PAUSE
        while True:
            try:
                self._store = await asyncio.to_thread(self._open_and_migrate)
            except Unavailable as error:
                self._unready_reason = str(error)
                log.warning("The store is not available; spans are spooled.", why=str(error), retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._config.retry_max_interval)
            else:
                self._metrics.ready.set(1)
                log.info("The store is ready.", database=self._store.database)
                return

    def close(self) -> None:
        if self._store:
            self._store.close()

    def unready_reason(self) -> str:
        return "" if self._store else self._unready_reason

    def _open_and_migrate(self) -> Store:
        store = open_store(self._config, self._directory)
        try:
            migrate(store, **self._config.ttls())
            for work in self._on_open:
                work(store)
        except BaseException:
            store.close()
            raise
        return store
