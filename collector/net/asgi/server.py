"""uvicorn servers run inside our own loop: our sockets, our signals, our limits."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from collector.config import TlsConfig
from collector.errors import StartError
from collector.net.accepting import Accepting
from collector.net.asgi.protocol import guarded
from collector.waiting import notify, wait_for

_TICK_SECONDS = 1.0


class Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to the daemon, and has at `max_connections` so many connections."""

    servers: list[Accepting]  # type: ignore[assignment] # uvicorn closes them, and waits for them

    def __init__(self, config: uvicorn.Config, name: str, max_connections: int) -> None:
        super().__init__(config)
        self.servers = []
        self._name = name
        self._max_connections = max_connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but that connections are taken in our way."""
        assert sockets
        self._loop = asyncio.get_running_loop()
        await self.lifespan.startup()
        self.servers = [
            Accepting(sock, self._connection, self._name, self._max_connections, tls=self.config.ssl)
            for sock in sockets
        ]
        self.started = True

    async def main_loop(self) -> None:
        """As uvicorn's, which wakes ten times a second for the `Date` of answers, which has whole seconds."""
        while not await self.on_tick(0):
            await wait_for(self._ending, _TICK_SECONDS)

    def end(self) -> None:
        """Take no new connections, and return from `serve` once requests have ended. From any thread."""
        self.should_exit = True
        if self._loop:
            notify(self._loop, self._ending)

    @property
    def open(self) -> int:
        """How many connections there are."""
        return sum(server.open for server in self.servers)

    @property
    def refused(self) -> int:
        """How many connections were closed because there were as many as may be."""
        return sum(server.refused for server in self.servers)

    def _connection(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(
    app: Any,
    tls: TlsConfig,
    name: str,
    *,
    max_connections: int,
    read_header_timeout: float,
    read_timeout: float,
    idle_timeout: float,
) -> Listener:
    """A server for the ASGI application `app`. Raises StartError when its TLS files cannot be used."""
    config = uvicorn.Config(
        app,
        loop="none",
        http=guarded(read_header_timeout, read_timeout),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=int(idle_timeout),
        proxy_headers=False,
        ssl_certfile=tls.cert_file,
        ssl_keyfile=tls.key_file,
        ssl_ca_certs=str(tls.client_ca_file) if tls.client_ca_file else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls.client_ca_file else ssl.CERT_NONE,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"Cannot use the TLS files {tls.cert_file} and {tls.key_file}: {error}.") from None
    return Listener(config, name, max_connections)
