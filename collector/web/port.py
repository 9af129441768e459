"""The web port as a part of the daemon: REST, health and metrics on one listener."""

import asyncio
import socket
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp

from collector.admit.auth import Gate
from collector.config import Config
from collector.net.asgi.server import http_server
from collector.net.sockets import listen
from collector.part import Part
from collector.telemetry import Sample, catalogue

_NAME = "the web port"


class WebPort(Part):
    """Serves an ASGI application. Its `gate` takes new tokens on reload. Raises StartError for unusable TLS files."""

    name = "web"
    settings = ("web", "auth", "receivers.otlp.protocols.http")
    reloadable = ("auth",)

    def __init__(self, config: Config, app: ASGIApp, gate: Gate) -> None:
        self._gate = gate
        self._endpoint = config.web.endpoint
        http = config.receivers.otlp.protocols.http
        self._server = http_server(
            app,
            config.web.tls,
            _NAME,
            max_connections=config.web.max_connections,
            read_header_timeout=http.read_header_timeout,
            read_timeout=http.read_timeout,
            idle_timeout=http.idle_timeout,
        )
        self._ports: dict[str, int] = {}
        self._socket: socket.socket | None = None
        self._served = asyncio.Event()
        self._served.set()

    @property
    def ports(self) -> Mapping[str, int]:
        return self._ports

    async def open(self) -> None:
        sock = self._socket = listen(self._endpoint, _NAME)
        self._ports = {"web": sock.getsockname()[1]}

    async def run(self) -> None:
        assert self._socket
        self._served.clear()
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._served.set()

    async def stop(self, grace: float) -> None:
        self._server.config.timeout_graceful_shutdown = max(1, int(grace))
        self._server.should_exit = True
        await self._served.wait()

    def close(self) -> None:
        if self._socket:
            self._socket.close()

    async def reload(self, config: Config) -> None:
        self._gate.reload(config.auth)

    def readings(self) -> Iterable[Sample]:
        yield Sample(catalogue.WEB_CONNECTIONS, self._server.open)
        yield Sample(catalogue.WEB_REFUSED_CONNECTIONS, self._server.refused)
