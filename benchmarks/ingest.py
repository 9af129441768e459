"""Ingest into the embedded store: CPU per span, throughput, latency, memory and disk, by the shape of requests.

    python -m benchmarks.ingest [--case "grpc 512"]... [--scale 1.0] [--rounds 1] [--visible]

CPU is user plus system time of the daemon's process tree from the first request until it is idle, every span stored
and merged as far as merges begin by themselves. Each case has a daemon of its own, warmed up with a twentieth of the
requests. The sender is another process on the same cores: its CPU is not counted, but it takes its share of them.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.daemon import Measured, daemon
from benchmarks.latency import visible
from benchmarks.load import Figures, Sender, Shape, sender
from benchmarks.processes import peak
from benchmarks.report import parser, spread, table, write
from benchmarks.stored import stored

STORED: Final = "spanmeter_drain_stored_spans_total"
_LARGE = 30_000
_WARM_UP = 20
_SEEN_SECONDS = 30.0
_POLL = 0.25  # reading the metrics costs the daemon about a millisecond


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, and how many requests a round."""

    shape: Shape
    requests: int


CASES: Final = (
    *(Case(Shape(transport, 512), 200) for transport in ("grpc", "http", "json")),
    *(Case(Shape(transport, 512, gzip=True), 100) for transport in ("grpc", "http", "json")),
    *(Case(Shape(transport, 16, in_flight=16), 3_000) for transport in ("grpc", "http", "json")),
    Case(Shape("grpc", 1, in_flight=16), 15_000),
    *(Case(Shape(transport, 1, connections=64), 15_000) for transport in ("http", "json")),
    Case(Shape("grpc", 16, in_flight=16, gzip=True), 1_500),
    Case(Shape("grpc", 64, _LARGE), 120),
    Case(Shape("http", 64, _LARGE), 120),
    Case(Shape("http", 1, _LARGE, connections=64), 4_000),
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--case", action="append", help="only cases whose name begins with this; repeatable")
    arguments.add_argument("--scale", type=float, default=1.0, help="requests a round, relative to the usual number")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument(
        "--visible", action="store_true", help="also how soon queries see spans, at half the stored rate"
    )
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    results: dict[str, list[Figures]] = {}
    for case in CASES:
        name = case.shape.name
        if not options.case or name.startswith(tuple(options.case)):
            requests = max(_WARM_UP, round(case.requests * options.scale))
            results[name] = measure(case.shape, requests, options.rounds, options.set, seen=options.visible)
            print(_line(name, results[name]), flush=True)
    print(table(_HEAD, [_row(name, rounds) for name, rounds in results.items()]))
    write(options, {"benchmark": "ingest", "results": results})


def measure(shape: Shape, requests: int, rounds: int, settings: list[str], *, seen: bool) -> list[Figures]:
    """Rounds against one daemon. The last also holds what its store holds in the end."""
    with tempfile.TemporaryDirectory(prefix="spanmeter-ingest-") as name:
        with daemon(settings, directory=Path(name)) as server, sender(shape) as load:
            one_round(server, load, shape, requests // _WARM_UP)
            figures = [one_round(server, load, shape, requests) for _ in range(rounds)]
            if seen:  # at half of what it stores, or else the backlog is all there is to see
                rate = figures[-1]["stored_per_s"] / 2
                figures[-1] |= visible(server, shape, seconds=_SEEN_SECONDS, rate=rate)
            total = int(server.metric(STORED))
        kept = stored(Path(name))
    if kept["rows"] < total or kept["distinct"] != kept["rows"]:
        raise RuntimeError(f"{total} spans were stored, the store holds {kept}")
    figures[-1] |= {"stored_bytes_per_span": kept["bytes"] / kept["rows"], "parts": kept["parts"]}
    return figures


def one_round(server: Measured, load: Sender, shape: Shape, requests: int) -> Figures:
    """Send so many requests, and measure until all of it is stored and the daemon is idle."""
    load.open(server.address(shape.transport), requests)
    spans, before = requests * shape.spans, server.metric(STORED)
    used = server.tree.wait_until_quiet()
    with peak(server.rss_mib) as highest:
        load.start()
        sent = load.finish()
        lag = _wait_until_stored(server, before + spans)
        cpu = server.tree.wait_until_quiet() - used
    return {
        "spans": spans,
        "wire_bytes_per_span": sent["bytes"] / spans,
        "cpu_us_per_span": cpu / spans * 1e6,
        "cpu_us_per_request": cpu / requests * 1e6,
        "acknowledged_per_s": spans / sent["seconds"],
        "stored_per_s": spans / (sent["seconds"] + lag),
        "stored_after_last_ack_s": lag,
        **{name: sent[name] for name in ("ack_p50_ms", "ack_p95_ms", "ack_p99_ms", "ack_max_ms")},
        "peak_rss_mib": highest[0],
        "sender_cpu_us_per_span": sent["sender_cpu_seconds"] / spans * 1e6,
    }


def _wait_until_stored(server: Measured, spans: float, seconds: float = 600) -> float:
    """Seconds until the daemon has stored `spans` since its start."""
    began = time.monotonic()
    while server.metric(STORED) < spans:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"fewer than {spans} spans stored after {seconds} s")
        time.sleep(_POLL)
    return time.monotonic() - began


_HEAD: Final = (
    *("case", "CPU us/span", "CPU us/request", "acked spans/s", "stored spans/s", "lag s", "ack p50/p95/p99 ms"),
    *("peak RSS MiB", "bytes/span: wire, stored", "visible p50/p99 s", "sender us/span"),
)


def _line(name: str, rounds: list[Figures]) -> str:
    return f"{name}: {spread([figures['cpu_us_per_span'] for figures in rounds])} CPU us/span"


def _row(name: str, rounds: list[Figures]) -> list[str]:
    last = rounds[-1]

    def over_rounds(field: str, digits: int = 1) -> str:
        return spread([figures[field] for figures in rounds], digits)

    return [
        name,
        over_rounds("cpu_us_per_span"),
        over_rounds("cpu_us_per_request", 0),
        over_rounds("acknowledged_per_s", 0),
        over_rounds("stored_per_s", 0),
        over_rounds("stored_after_last_ack_s"),
        " / ".join(f"{last[field]:.1f}" for field in ("ack_p50_ms", "ack_p95_ms", "ack_p99_ms")),
        f"{max(figures['peak_rss_mib'] for figures in rounds):.0f}",
        f"{last['wire_bytes_per_span']:.0f}, {last['stored_bytes_per_span']:.0f}",
        f"{last['visible_p50_s']:.2f} / {last['visible_p99_s']:.2f}" if "visible_p50_s" in last else "-",
        over_rounds("sender_cpu_us_per_span", 2),
    ]


if __name__ == "__main__":
    main()
