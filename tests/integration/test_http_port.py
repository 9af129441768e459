"""The OTLP/HTTP port in this process, before a real spool: what only shows from inside."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.accept import Acceptor
from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits
from collector.config import AuthConfig, DedupeConfig, HttpConfig, SpoolConfig
from collector.model.clock import SystemClock
from collector.net.http1.connection import Connection
from collector.receive.http import OtlpHttp
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics
from tests.support.capture import WITHHOLDS_NOTHING
from tests.support.spans import request
from tests.support.waiting import until

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: here\r\nContent-Type: application/x-protobuf\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Bench:
    """A port with one client."""

    port: OtlpHttp
    limits: Limits
    spool: Spool
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def connection(self) -> Connection:
        (found,) = self.port._connections
        return found

    async def answer(self) -> bytes:
        """The first line of the next answer, the rest of which is read too."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await self.reader.readexactly(int(lines[b"content-length"]))
        return head[: head.index(b"\n") + 1]


@asynccontextmanager
async def bench(directory: Path) -> AsyncIterator[Bench]:
    clock = SystemClock()
    spool = Spool(directory, SpoolConfig.model_validate({"min_free_bytes": 0}), clock)
    limits, window = Limits(2**30), DedupeWindow[SpoolAck](DedupeConfig(), clock)
    acceptor = Acceptor(
        Gate(AuthConfig()), limits, window, spool, clock, Metrics(CollectorRegistry()), WITHHOLDS_NOTHING
    )
    port = OtlpHttp(acceptor, HttpConfig(endpoint="127.0.0.1:0"))
    reader, writer = await asyncio.open_connection("127.0.0.1", await port.start())
    try:
        yield Bench(port, limits, spool, reader, writer)
    finally:
        writer.close()
        await port.stop(5)
        spool.close()


def within(directory: Path, act: Callable[[Bench], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), bench(directory) as made:
            await act(made)

    asyncio.run(run())


def test_a_head_that_does_not_come_costs_no_answer_to_the_requests_before_it(tmp_path: Path) -> None:
    body = request(1, ["a"])

    async def act(bench: Bench) -> None:
        with bench.spool._io:  # the disk takes its time
            bench.writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + HEAD)
            await until(lambda: bool(bench.port._connections))
            await until(lambda: bool(bench.connection._waiting and bench.connection._head_open))
            bench.connection.expire()
        assert await bench.answer() == OK
        assert await bench.reader.read() == b""

    within(tmp_path, act)


def test_neither_head_nor_trailers_are_kept(tmp_path: Path) -> None:
    body = request(1, ["a"])

    async def act(bench: Bench) -> None:
        bench.writer.write(CHUNKED + b"%x\r\n%s\r\n" % (len(body), body) + b"0\r\nContent-Encoding: gzip\r\n\r\n")
        assert await bench.answer() == OK
        assert (bench.connection.url, bench.connection.headers) == (b"", [])

    within(tmp_path, act)


def test_a_body_of_tiny_chunks_takes_little_more_than_its_size(tmp_path: Path) -> None:
    body = request(1, ["a"], text="x" * 400_000)
    chunks = b"".join(b"2\r\n%s\r\n" % body[at : at + 2] for at in range(0, len(body) // 2 * 2, 2))

    async def act(bench: Bench) -> None:
        tracemalloc.start()
        try:
            bench.writer.write(CHUNKED + chunks)
            await until(lambda: bench.limits.statistics().in_flight_bytes >= len(body) - 1)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 3 * len(body)

    within(tmp_path, act)
