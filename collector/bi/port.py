"""The port of the ClickHouse interface as a part of the daemon."""

from collections.abc import Callable, Iterable

from collector.admit.auth import Gate
from collector.bi.door import Door
from collector.config import Config
from collector.net.asgi.port import AsgiPort
from collector.store import Store
from collector.telemetry import Sample, catalogue


class BiPort(AsgiPort):
    """Answers BI tools from the embedded store; with a server as the store there is none."""

    name = "bi"
    settings = ("query", "auth", "receivers.otlp.protocols.http")
    reloadable = ("auth",)
    port_name = "query"
    what = "the ClickHouse interface"

    def __init__(self, config: Config, store: Callable[[], Store], gate: Gate) -> None:
        http = config.receivers.otlp.protocols.http
        self._serves = config.serves_queries
        self._gate = gate
        self._door = Door(config.query, store, gate, body_seconds=http.read_timeout)
        super().__init__(self._door, config.query, http)

    async def open(self) -> None:
        if self._serves:
            await super().open()

    async def stop(self, grace: float) -> None:
        self.take_nothing_new(grace)
        await self._door.stop()
        await super().stop(grace)

    def close(self) -> None:
        self._door.close()
        super().close()

    @property
    def busy(self) -> bool:
        return self._door.running > 0

    async def reload(self, config: Config) -> None:
        self._gate.reload(config.auth)

    def readings(self) -> Iterable[Sample]:
        yield Sample(catalogue.QUERY_CONNECTIONS, self._server.open)
        yield Sample(catalogue.QUERY_REFUSED_CONNECTIONS, self._server.refused)
        yield Sample(catalogue.QUERY_RUNNING, self._door.running)
