"""The web port as a part of the daemon: REST, health and metrics on one listener."""

from collections.abc import Iterable

from starlette.types import ASGIApp

from collector.admit.auth import Gate
from collector.config import Config
from collector.net.asgi.port import AsgiPort
from collector.telemetry import Sample, catalogue
from collector.web.streams import Streams


class WebPort(AsgiPort):
    """Serves an ASGI application. Its `gate` takes new tokens on reload."""

    name = "web"
    settings = ("web", "auth", "reads", "receivers.otlp.protocols.http")
    reloadable = ("auth",)
    port_name = "web"
    what = "the web port"

    def __init__(self, config: Config, app: ASGIApp, gate: Gate, streams: Streams) -> None:
        super().__init__(app, config.web, config.receivers.otlp.protocols.http)
        self._gate = gate
        self._streams = streams

    async def stop(self, grace: float) -> None:
        self._streams.end()
        await super().stop(grace)

    async def reload(self, config: Config) -> None:
        self._gate.reload(config.auth)

    def readings(self) -> Iterable[Sample]:
        yield Sample(catalogue.WEB_CONNECTIONS, self._server.open)
        yield Sample(catalogue.WEB_REFUSED_CONNECTIONS, self._server.refused)
