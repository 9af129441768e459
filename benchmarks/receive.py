"""What receiving costs: from the socket to the acknowledged record in the spool, nothing behind it.

    python -m benchmarks.receive [--transport grpc http] [--spans 1 16 512] [--connections 4 64] [--processes 1 2]
        [--scale 1.0]

The store's address answers nobody, so the spool only fills. CPU is user plus system time of the daemon's process tree;
the sender runs in this process. `check` is what validating the same bodies costs by itself, and is part of the CPU.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlparse

import grpc
import uvloop

from benchmarks.corpus import requests
from benchmarks.daemon import Measured, daemon
from collector.admit.validate import validate_traces
from collector.model.envelope import Encoding

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SETTINGS = ("store.url=http://127.0.0.1:9", "spool.max_bytes=64GiB")
_REQUESTS = {1: 6000, 16: 2000, 512: 120}
_WARM_UP = 0.1


@dataclass(frozen=True)
class Result:
    """Of one combination: seconds of CPU, and the latency of every request in seconds."""

    cpu: float
    wall: float
    latencies: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--transport", nargs="+", choices=("grpc", "http"), default=["http", "grpc"])
    parser.add_argument("--spans", nargs="+", type=int, default=[1, 16, 512], help="spans a request")
    parser.add_argument("--connections", nargs="+", type=int, default=[4, 64])
    parser.add_argument("--processes", nargs="+", type=int, default=[1], help="receiver processes")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of requests")
    options = parser.parse_args()
    print(
        f"{'':5}{'procs':>6}{'spans':>6}{'conns':>6}{'us/request':>12}{'us/span':>9}{'check':>7}"
        f"{'req/s':>8}{'p50 ms':>8}{'p95':>7}{'p99':>7}"
    )
    for spans in options.spans:
        count = int(_REQUESTS.get(spans, max(100, 60_000 // spans)) * options.scale)
        cases = itertools.product(options.connections, options.transport, options.processes)
        for connections, transport, processes in cases:
            corpus = requests(count, spans)
            with daemon((*SETTINGS, f"processes={processes}"), ready=False) as server:
                result = uvloop.run(measure(server, corpus, transport, connections))
            _print(transport, processes, spans, connections, result, _check_seconds(corpus[:500]) / spans)


def _print(transport: str, processes: int, spans: int, connections: int, result: Result, check: float) -> None:
    answered = len(result.latencies)
    cuts = statistics.quantiles(result.latencies, n=100)
    print(
        f"{transport:5}{processes:6}{spans:6}{connections:6}{result.cpu / answered * 1e6:12.1f}"
        f"{result.cpu / answered / spans * 1e6:9.2f}{check * 1e6:7.2f}{answered / result.wall:8.0f}"
        f"{cuts[49] * 1e3:8.2f}{cuts[94] * 1e3:7.2f}{cuts[98] * 1e3:7.2f}",
        flush=True,
    )


def _check_seconds(corpus: Sequence[bytes]) -> float:
    started = time.process_time()
    for body in corpus:
        validate_traces(body, Encoding.PROTOBUF)
    return (time.process_time() - started) / len(corpus)


async def measure(server: Measured, corpus: list[bytes], transport: str, connections: int) -> Result:
    """Send `corpus` over that many connections, one request at a time on each; a first part warms up."""
    send = _send_http if transport == "http" else _send_grpc
    warm = int(len(corpus) * _WARM_UP)
    await send(server, iter(corpus[:warm]), connections)
    before, started = server.cpu_seconds(), time.perf_counter()
    latencies = await send(server, iter(corpus[warm:]), connections)
    return Result(server.cpu_seconds() - before, time.perf_counter() - started, latencies)


class _Connection(asyncio.Protocol):
    """Sends one request after the other; every answer must be a 200 without a body."""

    def __init__(self, bodies: Iterator[bytes], latencies: list[float]) -> None:
        self._bodies = bodies
        self._latencies = latencies
        self.done = asyncio.get_running_loop().create_future()
        self._answer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.endswith(b"\r\n\r\n"):
            return
        if not self._answer.startswith(b"HTTP/1.1 200 "):
            self.done.set_exception(RuntimeError(self._answer.decode()))
        self._latencies.append(time.perf_counter() - self._started)
        self._answer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or RuntimeError("the server closed the connection"))

    def _next(self) -> None:
        body = next(self._bodies, None)
        if body is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._started = time.perf_counter()
        head = (
            "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
            f"Content-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.writelines((head.encode(), body))


async def _send_http(server: Measured, bodies: Iterator[bytes], connections: int) -> list[float]:
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    host, _, port = urlparse(server.http).netloc.partition(":")
    opened = [
        await loop.create_connection(lambda: _Connection(bodies, latencies), host, int(port))
        for _ in range(connections)
    ]
    await asyncio.gather(*[protocol.done for _, protocol in opened])
    return latencies


async def _send_grpc(server: Measured, bodies: Iterator[bytes], connections: int) -> list[float]:
    latencies: list[float] = []

    async def client() -> None:
        async with grpc.aio.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(METHOD)
            for body in bodies:
                started = time.perf_counter()
                await call(body)
                latencies.append(time.perf_counter() - started)

    await asyncio.gather(*[client() for _ in range(connections)])
    return latencies


if __name__ == "__main__":
    main()
