"""Garbage: what is made without cycles goes at once, what has them goes in time."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from collector.config import TlsConfig
from collector.net.asgi.protocol import GuardedProtocol
from collector.net.asgi.server import http_server
from collector.net.sockets import listen
from collector.runtime import collect_cycles


@contextmanager
def collector_disabled() -> Iterator[None]:
    """As in the daemon, where cycles are looked for by `collect_cycles` alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Node:
    def __init__(self) -> None:
        self.itself = self


def test_cycles_are_collected() -> None:
    async def run(lost: "weakref.ref[_Node]") -> None:
        collecting = asyncio.create_task(collect_cycles(0.001))
        async with asyncio.timeout(20):
            while lost():  # noqa: ASYNC110 - it is collected in this loop
                await asyncio.sleep(0.001)
        collecting.cancel()

    with collector_disabled():
        asyncio.run(run(weakref.ref(_Node())))


async def _size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.mark.parametrize("sent", [2, 1], ids=["whole request", "half a request"])
def test_a_connection_to_the_web_port_leaves_no_cycle(sent: int) -> None:
    async def run() -> None:
        app = Starlette(routes=[Route("/", _size, methods=["POST"])])
        server = http_server(
            app, TlsConfig(), "a test", read_header_timeout=5, read_timeout=5, idle_timeout=5, max_connections=5
        )
        sock = listen("127.0.0.1:0", "a test")
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        port = sock.getsockname()[1]
        async with asyncio.timeout(20):
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
                assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
                writer.write(b"12"[:sent])
                if sent == 2:
                    assert (await reader.readuntil(b"\r\n\r\n2")).count(b"200 OK")
                (connection,) = server.server_state.connections
                assert isinstance(connection, GuardedProtocol)
                lost = weakref.ref(connection)
                del connection
                writer.close()
                while lost():  # noqa: ASYNC110 - it ends in this loop
                    await asyncio.sleep(0.001)
        server.end()
        await serving

    with collector_disabled():
        asyncio.run(run())
