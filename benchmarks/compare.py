"""spanmeter against Rotel, a collector written in Rust: CPU per span on the same requests, in alternation.

    python -m benchmarks.compare [--rounds 3] [--scale 1.0] [--case "grpc 512"]...

Two comparisons, each with one sender and both systems' whole process trees, from the first request until idle:

- Into a ClickHouse HTTP endpoint that drops the rows and is not counted. Rotel acknowledges from memory; spanmeter
  syncs to disk before it acknowledges, and enriches and prices every span.
- Into rows, end to end: spanmeter with its embedded engine, against Rotel and the CPU that engine takes to insert
  Rotel's own inserts into the table of the Collector's exporter. Merges are counted on both sides, as far as they
  happen before idle.

Every round counts what arrived, by putting it into an engine: each system must have delivered each span once.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from benchmarks.daemon import Measured, daemon
from benchmarks.inserted import inserted
from benchmarks.load import Figures, Sender, Shape, sender
from benchmarks.processes import Tree
from benchmarks.report import parser, spread, table, write
from benchmarks.rotel import binary, rotel
from benchmarks.sink import SinkProcess, sink


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, how many requests a round, and the ratios of CPU to stay under."""

    shape: Shape
    requests: int
    goal: float
    embedded_goal: float | None = None


CASES: Final = (
    Case(Shape("grpc", 512, connections=4), 200, 0.8, 0.9),
    Case(Shape("http", 512, connections=4), 200, 0.7, 0.9),
    Case(Shape("grpc", 16, connections=4, in_flight=16), 2000, 1.5, 0.9),
    Case(Shape("grpc", 1, connections=4, in_flight=16), 10_000, 4.0),
    Case(Shape("http", 1, connections=64), 10_000, 1.5),
    Case(Shape("grpc", 1, connections=4), 5_000, 4.0),
    Case(Shape("http", 1, connections=4), 5_000, 1.5),
)
_WARM_UP = 20  # a warm-up round is that part of a round


class System(Protocol):
    """A collector under measurement."""

    @property
    def tree(self) -> Tree: ...

    def address(self, transport: str) -> str: ...


class Contestant:
    """A running system and the sink it writes to; none when it keeps the rows itself."""

    def __init__(self, name: str, system: System, endpoint: SinkProcess | None) -> None:
        self.name = name
        self._system = system
        self._sink = endpoint

    def round(self, load: Sender, shape: Shape, requests: int) -> Figures:
        """Figures of one round: CPU microseconds a span (and of the insert elsewhere), and what arrived."""
        if self._sink:
            self._sink.reset()
        stored = self._stored()
        load.open(self._system.address(shape.transport), requests)
        before = self._system.tree.wait_until_quiet()
        load.start()
        sent = load.finish()
        cpu = self._system.tree.wait_until_quiet() - before
        spans = requests * shape.spans
        figures = {
            "spans": spans,
            "cpu_us": cpu / spans * 1e6,
            "sender_cpu_us": sent["sender_cpu_seconds"] / spans * 1e6,
            "acknowledged_per_s": spans / sent["seconds"],
            "rss_mib": self._system.tree.rss_mib(),
        }
        return figures | self._delivered(spans, stored)

    def _stored(self) -> float:
        if isinstance(self._system, Measured):
            return self._system.metric("spanmeter_drain_stored_spans_total")
        return 0.0

    def _delivered(self, spans: int, stored_before: float) -> Figures:
        if not self._sink:
            return {"rows": int(self._stored() - stored_before)}
        with tempfile.TemporaryDirectory(prefix="spanmeter-compare-") as name:
            self._sink.save(Path(name))
            self._sink.reset()
            counts = inserted(Path(name), self.name)
        counts["insert_us"] = counts.pop("insert_cpu_seconds") / spans * 1e6
        counts["merge_us"] = counts.pop("merge_cpu_seconds") / spans * 1e6
        return counts


@contextlib.contextmanager
def contestants(settings: list[str]) -> Iterator[list[Contestant]]:
    """Rotel into a sink, spanmeter into a sink of its own, spanmeter with its embedded engine."""
    with contextlib.ExitStack() as stack:
        ours, theirs = stack.enter_context(sink()), stack.enter_context(sink())
        yield [
            Contestant("rotel", stack.enter_context(rotel(theirs.url)), theirs),
            Contestant("spanmeter", stack.enter_context(daemon([f"store.url={ours.url}", *settings])), ours),
            Contestant("embedded", stack.enter_context(daemon(settings)), None),
        ]


def compare(case: Case, running: list[Contestant], rounds: int, scale: float) -> dict[str, list[Figures]]:
    """Rounds of a case by system. Each round begins with another system."""
    requests = max(1, round(case.requests * scale))
    taking_part = [one for one in running if one.name != "embedded" or case.embedded_goal]
    results: dict[str, list[Figures]] = {one.name: [] for one in taking_part}
    with sender(case.shape) as load:
        for one in taking_part:
            one.round(load, case.shape, max(1, requests // _WARM_UP))
        for number in range(rounds):
            turn = number % len(taking_part)
            for one in taking_part[turn:] + taking_part[:turn]:
                results[one.name].append(one.round(load, case.shape, requests))
    return results


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--scale", type=float, default=1.0, help="requests a round, relative to the usual number")
    arguments.add_argument("--case", action="append", help="only cases whose name begins with this; repeatable")
    arguments.add_argument(
        "--set", action="append", default=[], help="a setting of spanmeter, as KEY=VALUE; repeatable"
    )
    options = arguments.parse_args()
    binary()
    chosen = [case for case in CASES if not options.case or case.shape.name.startswith(tuple(options.case))]
    results = {}
    with contestants(options.set) as running:
        for case in chosen:
            results[case.shape.name] = compare(case, running, options.rounds, options.scale)
            print(_summary(case, results[case.shape.name]), flush=True)
    print(_tables(chosen, results))
    write(options, {"benchmark": "compare", "rounds": options.rounds, "results": results})


def _median(rounds: list[Figures], *names: str) -> float:
    return float(statistics.median(sum(figures[name] for name in names) for figures in rounds))


def _spread(rounds: list[Figures], *names: str) -> str:
    return spread([sum(figures[name] for name in names) for figures in rounds])


def _ratio(ours: float, theirs: float, goal: float) -> str:
    return f"{ours / theirs:.2f} ({'' if ours / theirs <= goal else 'not '}<= {goal})"


def _missing(rounds: list[Figures]) -> str:
    """What was not delivered, or not whole, over all rounds."""
    lost = sum(figures["spans"] - figures.get("distinct", figures["rows"]) for figures in rounds)
    doubled = sum(figures["rows"] - figures.get("distinct", figures["rows"]) for figures in rounds)
    bare = sum(figures.get("rows_without_resource", 0) for figures in rounds)
    unpriced = sum(figures["rows"] - figures.get("rows_priced", figures["rows"]) for figures in rounds)
    said = [(lost, "lost"), (doubled, "doubled"), (bare, "without resource"), (unpriced, "without price")]
    return ", ".join(f"{count} {what}" for count, what in said if count) or "all"


def _summary(case: Case, rounds: dict[str, list[Figures]]) -> str:
    costs = ", ".join(f"{name} {_spread(figures, 'cpu_us')}" for name, figures in rounds.items())
    return f"{case.shape.name}: {costs} us/span"


def _tables(cases: list[Case], results: dict[str, dict[str, list[Figures]]]) -> str:
    into_sink, into_rows = [], []
    for case in cases:
        rounds = results[case.shape.name]
        theirs, ours, embedded = rounds["rotel"], rounds["spanmeter"], rounds.get("embedded")
        into_sink.append(
            [
                *(case.shape.name, _spread(theirs, "cpu_us"), _spread(ours, "cpu_us")),
                _ratio(_median(ours, "cpu_us"), _median(theirs, "cpu_us"), case.goal),
                *(_missing(theirs), _missing(ours)),
            ]
        )
        if embedded and case.embedded_goal:
            whole = ("cpu_us", "insert_us", "merge_us")
            into_rows.append(
                [
                    *(case.shape.name, _spread(theirs, *whole), _spread(embedded, "cpu_us")),
                    _ratio(_median(embedded, "cpu_us"), _median(theirs, *whole), case.embedded_goal),
                    *(_spread(theirs, "insert_us"), _missing(embedded)),
                ]
            )
    unit = "CPU us/span, median (range)"
    parts = [
        f"\nInto a ClickHouse endpoint, {unit}",
        table(["case", "Rotel", "spanmeter", "ratio", "Rotel delivered", "spanmeter delivered"], into_sink),
    ]
    if into_rows:
        parts += [
            f"\nInto rows, {unit}",
            table(["case", "Rotel + ClickHouse", "spanmeter", "ratio", "of it insert", "delivered"], into_rows),
        ]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
