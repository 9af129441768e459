"""A port of the daemon that an ASGI application answers on."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from collector.config import HttpConfig, TlsConfig
from collector.net.asgi.server import http_server
from collector.net.sockets import listen
from collector.part import Part


class PortSettings(Protocol):
    """What the section of such a port has."""

    endpoint: str
    tls: TlsConfig
    max_connections: int


class AsgiPort(Part):
    """Serves an application from `open` to `stop`. Raises StartError for TLS files or an address it cannot use."""

    port_name: ClassVar[str]
    what: ClassVar[str]  # in sentences

    def __init__(self, app: Any, settings: PortSettings, http: HttpConfig) -> None:
        """`http` has the timeouts, which are those of OTLP over HTTP."""
        self._endpoint = settings.endpoint
        self._server = http_server(
            app,
            settings.tls,
            self.what,
            max_connections=settings.max_connections,
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
        sock = self._socket = listen(self._endpoint, self.what)
        self._ports = {self.port_name: sock.getsockname()[1]}

    async def run(self) -> None:
        if not self._socket:
            return
        self._served.clear()
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._served.set()

    def take_nothing_new(self, grace: float) -> None:
        """Let requests end within `grace` seconds."""
        self._server.config.timeout_graceful_shutdown = max(1, int(grace))
        self._server.end()

    async def stop(self, grace: float) -> None:
        self.take_nothing_new(grace)
        await self._served.wait()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
