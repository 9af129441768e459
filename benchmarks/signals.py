"""Log records and metric points: CPU per item of decoding, and of a daemon beside Rotel.

    python -m benchmarks.signals [--rounds 3] [--requests 800] [--connections 8]

Decoding is CPU microseconds an item, the best of some passes over requests of 512 items, natively and in Python. The
comparison sends the same kind of requests over some HTTP connections to both systems in turn, each writing to a
ClickHouse HTTP endpoint that drops the rows and is not counted; CPU is that of the process tree from the first request
until it is idle. Rotel acknowledges from memory, spanmeter syncs to disk before it does.
"""

import argparse
import http.client
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

from benchmarks.compare import System
from benchmarks.daemon import daemon
from benchmarks.report import parser, spread, table, write
from benchmarks.rotel import rotel
from benchmarks.sink import sink
from collector.decode import _kernel, logs, points
from collector.model.envelope import Envelope, Signal
from tests.support.signals import log_request, metric_request, number, record, total

_ITEMS: Final = 512
_WARM_UP: Final = 10


def log_body(begin: int) -> bytes:
    """Records as a coding agent sends them for its model calls."""
    records = [
        record(
            "claude_code.api_request",
            {
                "event.name": "api_request",
                "event.timestamp": "2026-11-28T16:37:02.976Z",
                "event.sequence": n,
                "session.id": "e17fa45d-56d1-4aa2-b536-5f4e34609494",
                "prompt.id": "03f16149-c024-4be3-924e-6a90da335e46",
                "request_id": f"req_{begin + n:024d}",
                "user.id": "d13a96877f2e264dbb95b7932b14a1656c0a205e16d894afbad22ed33085957f",
                "model": "claude-sonnet-4-5-20250929",
                "input_tokens": 41 + n,
                "output_tokens": 101,
                "cache_read_tokens": 2001,
                "cache_creation_tokens": 301,
                "cost_usd": 0.00359205,
                "duration_ms": 250,
                "query_source": "sdk",
                "terminal.type": "xterm",
            },
            time_unix_nano=begin + n,
            observed_time_unix_nano=begin + n,
        )
        for n in range(_ITEMS)
    ]
    body: bytes = log_request(*records, resource={"service.name": "claude-code", "host.name": "h"}).SerializeToString()
    return body


def metric_body(begin: int) -> bytes:
    """Points of a counter of tokens."""
    made = [
        number(
            float(n),
            {
                "user.id": "d13a96877f2e264dbb95b7932b14a1656c0a205e16d894afbad22ed33085957f",
                "session.id": f"{n:036d}",
                "model": "claude-sonnet-4-5-20250929",
                "type": "input",
            },
            start_time_unix_nano=begin,
            time_unix_nano=begin + n,
        )
        for n in range(_ITEMS)
    ]
    metric = total(*made, name="claude_code.token.usage", unit="tokens", temporality=1)
    body: bytes = metric_request(metric, resource={"service.name": "claude-code"}).SerializeToString()
    return body


_BODIES: Final[dict[Signal, Callable[[int], bytes]]] = {Signal.LOGS: log_body, Signal.METRICS: metric_body}
_DECODERS: Final[dict[str, tuple[Signal, Callable[[Sequence[Envelope]], object]]]] = {
    "log records, native": (Signal.LOGS, _kernel.decode_logs),
    "log records, in Python": (Signal.LOGS, logs.decode_logs),
    "metric points, native": (Signal.METRICS, _kernel.decode_metrics),
    "metric points, in Python": (Signal.METRICS, points.decode_metrics),
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--requests", type=int, default=800, help="requests a round")
    arguments.add_argument("--connections", type=int, default=8, help="senders at once")
    options = arguments.parse_args()
    decoding = {name: decode_us(signal, work) for name, (signal, work) in _DECODERS.items()}
    print(table(("decode", "CPU us/item"), [[name, f"{found:.2f}"] for name, found in decoding.items()]), flush=True)
    results = {str(signal): beside_rotel(signal, options) for signal in _BODIES}
    rows = [
        [name, spread(found["spanmeter"], 2), spread(found["rotel"], 2), f"{_ratio(found):.2f}"]
        for name, found in results.items()
    ]
    print(table(("signal", "spanmeter CPU us/item", "Rotel CPU us/item", "ratio of medians"), rows))
    write(options, {"benchmark": "signals", "decode": decoding, "beside_rotel": results})


def decode_us(signal: Signal, work: Callable[[Sequence[Envelope]], object], repeats: int = 7) -> float:
    """CPU microseconds an item, at best."""
    now = time.time_ns()
    envelopes = [Envelope("default", now, _ITEMS, _BODIES[signal](now + n * _ITEMS), signal=signal) for n in range(8)]
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        done = work(envelopes)
        del done  # giving the memory back is part of it
        best = min(best, time.process_time() - began)
    return best / len(envelopes) / _ITEMS * 1e6


def beside_rotel(signal: Signal, options: argparse.Namespace) -> dict[str, list[float]]:
    """CPU microseconds an item of each system, by round."""
    found: dict[str, list[float]] = {"spanmeter": [], "rotel": []}
    with sink() as ours, sink() as theirs, daemon([f"store.url={ours.url}"]) as measured, rotel(theirs.url) as agent:
        systems: dict[str, System] = {"spanmeter": measured, "rotel": agent}
        for system in systems.values():
            _round(system, signal, _WARM_UP, 1)
        for _ in range(options.rounds):
            for name, system in systems.items():
                found[name].append(_round(system, signal, options.requests, options.connections))
    return found


def _round(system: System, signal: Signal, requests: int, connections: int) -> float:
    now = time.time_ns()
    bodies = [_BODIES[signal](now + n * _ITEMS) for n in range(requests)]
    before = system.tree.wait_until_quiet()
    with ThreadPoolExecutor(connections) as senders:
        shares = [senders.submit(_send, system, signal, bodies[n::connections]) for n in range(connections)]
        for share in shares:
            share.result()
    return (system.tree.wait_until_quiet() - before) / (requests * _ITEMS) * 1e6


def _send(system: System, signal: Signal, bodies: Sequence[bytes]) -> None:
    with closing(http.client.HTTPConnection(system.address("http"), timeout=60)) as connection:
        for body in bodies:
            connection.request("POST", f"/v1/{signal}", body, {"Content-Type": "application/x-protobuf"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"the answer to {signal} was {answer.status}")


def _ratio(found: dict[str, list[float]]) -> float:
    ours, theirs = (sorted(found[name])[len(found[name]) // 2] for name in ("spanmeter", "rotel"))
    return ours / theirs


if __name__ == "__main__":
    main()
