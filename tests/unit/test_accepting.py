"""How many connections a port takes: by its setting, by what the process may open, and handshakes as well."""

import asyncio
import contextlib
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

import pytest
import uvloop
from structlog.testing import capture_logs

from collector.net.accepting import Accepting
from collector.net.sockets import listen

_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
Test = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=_LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Callable[[Test], None]]:
    with asyncio.Runner(loop_factory=_LOOPS[request.param]) as runner:
        yield lambda test: runner.run(test())


@pytest.fixture
def quarter() -> Iterator[int]:
    """A quarter of the files that this process may open for now: half is free for both ends of so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        quarter = 100 + highest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * quarter, hard))
    yield quarter
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Bench:
    """An `Accepting` and its clients."""

    def __init__(self, max_connections: int, tls: ssl.SSLContext | None = None) -> None:
        sock = listen("127.0.0.1:0", "a test")
        self._port = sock.getsockname()[1]
        self.accepting = Accepting(
            sock, asyncio.Protocol, "a test", max_connections, tls=tls, handshake=60.0 if tls else None
        )
        self._clients = contextlib.ExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.accepting.close()
        await self.accepting.wait_closed()
        self._clients.close()
        await self.until(lambda: self.accepting.open == 0)

    def connect(self, count: int) -> list[socket.socket]:
        return [self._clients.enter_context(socket.create_connection(("127.0.0.1", self._port))) for _ in range(count)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - it happens in this loop
                await asyncio.sleep(0.001)


def test_more_than_may_be_are_closed_until_there_is_room(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with _Bench(10) as bench:
            clients = bench.connect(13)
            await bench.until(lambda: bench.accepting.refused == 3)
            assert bench.accepting.open == 10
            for client in clients[:4]:
                client.close()
            await bench.until(lambda: bench.accepting.open == 6)
            bench.connect(5)
            await bench.until(lambda: bench.accepting.refused == 4)
            assert bench.accepting.open == 10

    run(test)


def test_clients_that_never_shake_hands_count(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with _Bench(10, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) as bench:
            silent = bench.connect(12)
            await bench.until(lambda: bench.accepting.refused == 2)
            assert bench.accepting.open == 10
            silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n")  # no handshake comes of this
            await bench.until(lambda: bench.accepting.open == 9)

    run(test)


def test_a_port_takes_a_quarter_of_the_files_at_most(run: Callable[[Test], None], quarter: int) -> None:
    async def test() -> None:
        with capture_logs() as said:
            async with _Bench(4096) as bench:
                bench.connect(quarter + 3)
                await bench.until(lambda: bench.accepting.refused == 3)
                assert bench.accepting.open == quarter
        assert (said[0]["takes"], said[0]["max_connections"]) == (quarter, 4096)
        assert "LimitNOFILE" in said[0]["event"]

    run(test)


def test_a_daemon_asks_for_the_files_it_may_have() -> None:
    limit = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
    script = f"from collector.runtime import configure_interpreter; configure_interpreter(); {limit}"
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = subprocess.run(["sh", "-c", 'ulimit -S -n 300; exec "$@"', "sh", sys.executable, "-c", script], stdout=-1)  # noqa: PLW1510
    expected = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    assert told.stdout.decode().strip() == f"({expected}, {hard})"
