"""The load, as a process of its own: closed loop (as fast as answers come) or open loop (`--rate`, spans a second).

    python -m benchmarks.sender --transport grpc --spans 512

Each pair of lines on standard input is a run: `HOST:PORT REQUESTS` (0: until `--seconds` are over), and, once it has
said that its connections are open, a line to start. It ends with a line of JSON of what it measured. In an open loop,
latency counts from when a request was due, so a stall is not hidden by what waited.
"""

import argparse
import asyncio
import gzip
import itertools
import json
import math
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import uvloop

from benchmarks.templates import DISTINCT_SPANS, Encoding, Template, templates
from benchmarks.wire import Connection, GrpcConnection, HttpConnection

MEDIA_TYPES: Final = {"http": "application/x-protobuf", "json": "application/json"}
_TICK = 0.002


class Load:
    """Sends bodies over connections and keeps count. `limit` requests, or until `deadline` (monotonic)."""

    def __init__(
        self, connections: Sequence[Connection], bodies: Iterator[bytes], limit: float, seconds: float, rate: float
    ) -> None:
        self._connections = deque(connections)
        self._bodies = bodies
        self._limit = limit
        self._seconds = seconds
        self._rate = rate
        self._waiting: deque[float] = deque()
        self._issued = 0
        self._over = asyncio.Event()
        self.started = time.monotonic()
        self.latencies: list[float] = []
        self.sent = self.acknowledged = self.sent_bytes = 0
        self.failures: Counter[str] = Counter()

    async def run(self) -> None:
        """Until every request has been answered."""
        self.started = time.monotonic()
        if self._rate:
            await self._at_rate()
        else:
            for connection in list(self._connections):
                self._keep_busy(connection)
        await self._over.wait()

    def _wanted(self) -> bool:
        return self._issued < self._limit and time.monotonic() < self.started + self._seconds

    def _keep_busy(self, connection: Connection) -> None:
        while connection.free and self._wanted():
            self._issued += 1
            self._send(connection, time.monotonic())
        self._check_end()

    async def _at_rate(self) -> None:
        while self._wanted():
            now = time.monotonic()
            while self._issued < self._limit and (due := self.started + self._issued / self._rate) <= now:
                self._waiting.append(due)
                self._issued += 1
            self._send_waiting()
            await asyncio.sleep(max(_TICK, self.started + self._issued / self._rate - time.monotonic()))
        self._check_end()

    def _send_waiting(self) -> None:
        for _ in range(len(self._connections)):
            if not self._waiting:
                return
            connection = self._connections[0]
            self._connections.rotate(-1)
            if connection.free:
                self._send(connection, self._waiting.popleft())

    def _send(self, connection: Connection, due: float) -> None:
        body = next(self._bodies)
        self.sent += 1
        self.sent_bytes += len(body)

        def done(why: str | None) -> None:
            if why is None:
                self.latencies.append(time.monotonic() - due)
                self.acknowledged += 1
            else:
                self.failures[why[:200]] += 1
            if self._rate:
                self._send_waiting()
                self._check_end()
            else:
                self._keep_busy(connection)

        connection.send(body, done)

    def _check_end(self) -> None:
        answered = self.acknowledged + self.failures.total()
        if not self._waiting and answered == self.sent and (not self._wanted() or not self._alive()):
            self._over.set()

    def _alive(self) -> bool:
        return any(connection.free for connection in self._connections)


def fresh_bodies(made: Sequence[Template], traces: int = 0) -> Iterator[bytes]:
    """New requests for ever; of so many traces, or of new ones each."""
    ids = np.frombuffer(os.urandom(16 * traces), np.uint8).reshape(traces, 16)
    for template in itertools.cycle(made):
        yield template.fresh(time.time_ns(), ids)


async def open_connections(options: argparse.Namespace, address: str) -> list[Connection]:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()

    def protocol() -> Any:
        if options.transport == "grpc":
            return GrpcConnection(address, options.in_flight, options.gzip)
        return HttpConnection(address, MEDIA_TYPES[options.transport], options.gzip)

    opened = [(await loop.create_connection(protocol, host, int(port)))[1] for _ in range(options.connections)]
    for connection in opened:
        await connection.ready
    return list(opened)


def _say(event: str, **values: Any) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def _progress(load: Load, spans: int) -> dict[str, int]:
    failed = load.failures.total() * spans
    return {"sent": load.sent * spans, "acknowledged": load.acknowledged * spans, "failed": failed}


async def _report(load: Load, spans: int, interval: float) -> None:
    while True:
        await asyncio.sleep(interval)
        _say("progress", **_progress(load, spans))


async def _run(options: argparse.Namespace, address: str, bodies: Iterator[bytes], requests: float) -> None:
    """One run, on connections of its own. They are open when it says `open`; it starts at the next line."""
    connections = await open_connections(options, address)
    rate = options.rate / options.spans
    load = Load(connections, bodies, requests, options.seconds or math.inf, rate)
    _say("open")
    await asyncio.to_thread(sys.stdin.readline)
    reports = asyncio.create_task(_report(load, options.spans, options.report))
    cpu = time.process_time()
    await load.run()
    cpu = time.process_time() - cpu
    seconds = time.monotonic() - load.started
    reports.cancel()
    for connection in connections:
        connection.close()
    milliseconds = np.array(load.latencies or [math.nan]) * 1e3
    p50, p95, p99 = (float(np.percentile(milliseconds, part)) for part in (50, 95, 99))
    _say(
        "done",
        **_progress(load, options.spans),
        requests=load.sent,
        failures=dict(load.failures),
        bytes=load.sent_bytes,
        seconds=seconds,
        sender_cpu_seconds=cpu,
        ack_p50_ms=p50,
        ack_p95_ms=p95,
        ack_p99_ms=p99,
        ack_max_ms=float(milliseconds.max()),
    )


def options_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--transport", choices=("grpc", "http", "json"), default="grpc")
    parser.add_argument("--spans", type=int, default=512, help="spans a request")
    parser.add_argument("--content-bytes", type=int, default=1000, help="text a span")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=1, help="calls at a time on a gRPC connection")
    parser.add_argument("--seconds", type=float, default=0, help="stop sending after this long")
    parser.add_argument("--rate", type=float, default=0, help="spans a second; as fast as answers come when not set")
    parser.add_argument(
        "--gzip", action="store_true", help="compressed ahead of the start, so that its CPU is not felt"
    )
    parser.add_argument("--distinct", type=int, default=DISTINCT_SPANS, help="spans whose texts differ")
    parser.add_argument("--traces", type=int, default=0, help="traces that spans are of; 0 is new ones a request")
    parser.add_argument("--report", type=float, default=1e9, help="seconds between lines of progress")
    return parser


def main() -> None:
    options = options_parser().parse_args()
    encoding: Encoding = "json" if options.transport == "json" else "protobuf"
    fresh = fresh_bodies(templates(options.spans, options.content_bytes, encoding, options.distinct), options.traces)
    _say("ready")
    for line in sys.stdin:
        address, requests = line.split()[0], int(line.split()[1])
        bodies = fresh
        if options.gzip:
            bodies = iter([gzip.compress(next(fresh), 6) for _ in range(requests)])
        uvloop.run(_run(options, address, bodies, requests or math.inf))


if __name__ == "__main__":
    main()
