"""A rate of spans held for minutes against the embedded store: does anything grow that should not?

    python -m benchmarks.sustained [--rate 30000] [--minutes 10] [--half-load]

A line every ten seconds, of what happened in them; then verdicts. `--half-load` is the other promise: latency of
acknowledgements at half the rate, every one of them synced to disk.
"""

import argparse
import math
import time
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from benchmarks.daemon import Measured, daemon
from benchmarks.load import Figures, Shape, sender
from benchmarks.report import parser, write
from benchmarks.stored import active_parts

_INTERVAL = 10.0
_ACK_P99_MS = 25.0
_BACKLOG_SHARE = 0.01  # of the rate: growth that a longer run would have to pay for
_MEMORY_GROWTH_MIB = 30.0
_MEMORY_MIB = 700.0
_COLUMNS: Final = (
    *(("time s", ".0f"), ("sent/s", ",.0f"), ("acked/s", ",.0f"), ("stored/s", ",.0f"), ("waiting", ",.0f")),
    *(("backlog MiB", ".1f"), ("segments", ".0f"), ("RSS MiB", ".0f"), ("CPU us/span", ".1f"), ("cores", ".2f")),
    ("parts", ".0f"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one moment; `sent`, `acknowledged`, `stored` (spans) and `cpu` (seconds) count from the start."""

    at: float
    sent: int
    acknowledged: int
    stored: float
    backlog_bytes: float
    segments: float
    rss_mib: float
    cpu: float
    parts: int

    @classmethod
    def take(cls, server: Measured, began: float, sent: int, acknowledged: int) -> "Sample":
        metrics = server.metrics()
        return cls(
            at=time.monotonic() - began,
            sent=sent,
            acknowledged=acknowledged,
            stored=metrics["spanmeter_drain_stored_spans_total"],
            backlog_bytes=metrics["spanmeter_spool_bytes"],
            segments=metrics["spanmeter_spool_segments"],
            rss_mib=server.rss_mib(),
            cpu=server.cpu_seconds(),
            parts=active_parts(server.directory),
        )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=30_000, help="spans a second")
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--transport", choices=("grpc", "http"), default="grpc")
    arguments.add_argument("--spans", type=int, default=512, help="spans a request")
    arguments.add_argument("--connections", type=int, default=4)
    arguments.add_argument("--in-flight", type=int, default=4, help="calls at a time on a gRPC connection")
    arguments.add_argument("--half-load", action="store_true", help="half the rate, and the latency it leaves")
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    with daemon(options.set) as server:
        samples, sent = _hold(server, options)
    verdicts = [_latency(sent)] if options.half_load else _verdicts(samples, options.rate)
    ack = " / ".join(f"{sent[name]:.1f}" for name in ("ack_p50_ms", "ack_p95_ms", "ack_p99_ms", "ack_max_ms"))
    print(f"ack p50 / p95 / p99 / max: {ack} ms; sender {sent['sender_cpu_seconds'] / sent['sent'] * 1e6:.2f} us/span")
    for text, kept in verdicts:
        print(f"{'held' if kept else 'NOT HELD':9} {text}")
    figures = {"verdicts": dict(verdicts), "sender": sent, "samples": [asdict(sample) for sample in samples]}
    write(options, {"benchmark": "sustained", "rate": _rate(options), **figures})


def _rate(options: argparse.Namespace) -> float:
    return float(options.rate) / 2 if options.half_load else float(options.rate)


def _hold(server: Measured, options: argparse.Namespace) -> tuple[list[Sample], Figures]:
    """Send for as long as asked; samples every ten seconds and one when all is stored, and the sender's figures."""
    shape = Shape(options.transport, options.spans, connections=options.connections, in_flight=options.in_flight)
    limits = ["--rate", str(_rate(options)), "--seconds", str(options.minutes * 60), "--report", str(_INTERVAL)]
    print(f"{_rate(options):,.0f} spans/s, {shape.name}, {options.minutes:g} minutes")
    print("  ".join(name for name, _ in _COLUMNS))
    with sender(shape, *limits) as load:
        load.open(server.address(shape.transport))
        began = time.monotonic()
        samples = [Sample.take(server, began, 0, 0)]

        def sample(progress: Figures) -> None:
            samples.append(Sample.take(server, began, progress["sent"], progress["acknowledged"]))
            print(_line(samples[-2], samples[-1]), flush=True)

        load.start()
        sent = load.finish(sample, failures_allowed=True)
        server.wait_until_stored(sent["acknowledged"], 600)
        sample(sent)
    return samples, sent


def _line(before: Sample, now: Sample) -> str:
    seconds = now.at - before.at
    stored = now.stored - before.stored
    values = (
        now.at,
        (now.sent - before.sent) / seconds,
        (now.acknowledged - before.acknowledged) / seconds,
        stored / seconds,
        now.acknowledged - now.stored,
        now.backlog_bytes / 2**20,
        now.segments,
        now.rss_mib,
        (now.cpu - before.cpu) / stored * 1e6 if stored else math.nan,
        (now.cpu - before.cpu) / seconds,
        now.parts,
    )
    cells = zip(_COLUMNS, values, strict=True)
    return "  ".join(f"{value:{max(len(name), 5)}{form}}" for (name, form), value in cells)


def _verdicts(samples: list[Sample], rate: float) -> list[tuple[str, bool]]:
    """What is promised of a rate that is held. Growth is read from the second half, after the start's own."""
    loaded = samples[1:-1]
    late = loaded[len(loaded) // 2 :]
    if len(late) < 3:
        return [("nothing can be said of growth in less than a minute", False)]
    last = samples[-1]
    waiting = _slope(late, [sample.acknowledged - sample.stored for sample in late])
    memory = _slope(late, [sample.rss_mib for sample in late]) * (late[-1].at - late[0].at)
    cpu = (last.cpu - samples[0].cpu) / last.stored * 1e6
    parts = [sample.parts for sample in loaded]
    early_parts, late_parts = max(parts[: len(parts) // 2]), max(sample.parts for sample in late)
    highest = max(sample.rss_mib for sample in samples)
    reached = loaded[-1].acknowledged / loaded[-1].at
    return [
        (f"{reached:,.0f} spans/s acknowledged of {rate:,.0f} wanted", reached >= 0.98 * rate),
        (f"the backlog grows by {waiting:,.0f} spans/s in the second half", waiting <= _BACKLOG_SHARE * rate),
        (f"memory grows by {memory:.0f} MiB in the second half", memory <= _MEMORY_GROWTH_MIB),
        (f"memory at most {highest:.0f} MiB (<= {_MEMORY_MIB:.0f})", highest <= _MEMORY_MIB),
        (f"parts at most {early_parts}, then {late_parts}", late_parts <= 1.5 * early_parts),
        (f"every acknowledged span stored: {last.stored:,.0f}", last.stored >= last.acknowledged),
        (f"{cpu:.1f} CPU us/span, merges included", True),
    ]


def _slope(samples: list[Sample], values: list[float]) -> float:
    """Change a second, by least squares."""
    return float(np.polyfit([sample.at for sample in samples], values, 1)[0])


def _latency(sent: Figures) -> tuple[str, bool]:
    p99 = sent["ack_p99_ms"]
    return f"ack p99 {p99:.1f} ms at half load (<= {_ACK_P99_MS:g})", p99 <= _ACK_P99_MS


if __name__ == "__main__":
    main()
