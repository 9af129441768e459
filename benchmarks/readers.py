"""People on the pages: acknowledgements of ingest beside them, and what opening a very long text costs.

    python -m benchmarks.readers [--spans 1000000] [--rate 15000] [--seconds 20] [--rounds 3] [--keep DIRECTORY]

Spans come at half of the rate that is held (`benchmarks.sustained`), alone and beside five people, in turns. A person
opens a page and what the browser asks for with it, thinks for a second, and goes on: lists with filters, runs of 15
and 10,000 spans, conversations, facets, spend. Texts of 5 and 50 MB are opened as the page does it (64 KiB, then the
rest in parts of 4 MiB), and in one request. With --keep the store is made once and found again.
"""

import argparse
import itertools
import random
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.daemon import Measured, daemon
from benchmarks.filled import BEGIN, END, FEATURES, MODELS, UNKNOWN_MODEL, fill, long_run_ids
from benchmarks.load import Figures, Shape, sender
from benchmarks.processes import in_own_process
from benchmarks.report import parser, table, write
from collector.config import StoreConfig
from collector.model.principal import ANONYMOUS
from collector.store import Store, migrate, open_store
from collector.store.run_sums import sum_all

_PEOPLE: Final = 5
_THOUGHT: Final = 1.0  # seconds, on average
_PROJECT: Final = ANONYMOUS.project
_MB: Final = 1_000_000
_TEXTS: Final = (5 * _MB, 50 * _MB)
_FIRST, _PART = 64 * 1024, 4 * 1024 * 1024  # as the page asks for a text
_SPAN: Final = f"{1:016x}"
_LONG_TEXT = """
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, Project, ReceivedAt, Version, Kind, Operation, Input,
    InputKey)
SELECT toDateTime64({at:DateTime}, 9, 'UTC'), {trace:String}, {span:String}, 'chat', {project:String},
    toDateTime64({at:DateTime}, 9, 'UTC'), 1, 'llm', 'chat', substring(repeat(randomPrintableASCII(1000000),
    1 + intDiv({bytes:UInt64}, 1000000)), 1, {bytes:UInt64}), 'gen_ai.input.messages'
"""
_SOME_RUNS = """
SELECT TraceId FROM otel_traces WHERE Project = {project:String} AND ParentSpanId = '' ORDER BY cityHash64(TraceId)
LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to look at."""

    runs: Sequence[str]
    long_runs: Sequence[str]


def prepare(directory: Path, spans: int) -> Known:
    """The store of a data directory, filled if it is new."""
    directory.mkdir(parents=True, exist_ok=True)
    new = not any(directory.iterdir())
    with closing(open_store(StoreConfig(ttl=0), directory)) as store:
        migrate(store, 0)
        if new:
            fill(store, spans, (_PROJECT,) * 3)
            for size in _TEXTS:
                about = {"trace": _trace(size), "span": _SPAN, "project": _PROJECT, "bytes": size, "at": END}
                store.command(_LONG_TEXT, about)
            sum_all(store)
        return Known(_some_runs(store), long_run_ids(store, _PROJECT))


def _trace(size: int) -> str:
    return f"{size:032x}"


def _some_runs(store: Store) -> list[str]:
    rows = store.query(_SOME_RUNS, {"project": _PROJECT}).to_pylist()
    return [str(row["TraceId"]) for row in rows]


# -- people -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Clicks:
    """How long answers took, in seconds, by what was asked for."""

    taken: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        self.taken.setdefault(name, []).append(seconds)


def _window(chance: random.Random) -> str:
    days = chance.randrange(1, (END - BEGIN).days)
    until = datetime.fromtimestamp(BEGIN.timestamp() + 86_400 * (days + 1), BEGIN.tzinfo)
    since = datetime.fromtimestamp(until.timestamp() - 86_400, BEGIN.tzinfo)
    return f"since={since:%Y-%m-%dT%H:%M:%SZ}&until={until:%Y-%m-%dT%H:%M:%SZ}"


def clicks(known: Known, chance: random.Random) -> Iterator[tuple[str, list[str]]]:
    """What one person opens, without end: a name, and the requests of the browser."""
    filters = (
        "",
        f"&model={MODELS[0]}",
        f"&model={UNKNOWN_MODEL}",
        f"&feature={FEATURES[-1]}",
        "&user=user-17",
        "&status=errors",
        "&sort=cost",
        "&q=careful",
    )
    while True:
        window = _window(chance)
        run = chance.choice(known.runs)
        yield "list", [f"/runs?{window}{chance.choice(filters)}"]
        yield "run", [f"/runs/{run}", f"/api/v1/runs/{run}/spans"]
        yield "conversation", [f"/runs/{run}?view=conversation"]
        yield "facets", [f"/api/v1/facets?{window}", f"/api/v1/kpis?{window}&steps=24"]
        yield "spend", [f"/spend?{window}"]
        if known.long_runs:
            long_run = chance.choice(known.long_runs)
            yield "run of 10,000", [f"/runs/{long_run}", f"/api/v1/runs/{long_run}/spans"]


def person(server: Measured, known: Known, number: int, over: threading.Event, found: Clicks) -> None:
    """Clicks until it is over. Raises HTTPError for an answer that is none."""
    chance = random.Random(number)
    for name, requests in clicks(known, chance):
        begun = time.perf_counter()
        for path in requests:
            read(server, path)
        found.add(name, time.perf_counter() - begun)
        if over.wait(chance.uniform(0.5, 1.5) * _THOUGHT):
            return


def read(server: Measured, path: str, headers: dict[str, str] | None = None) -> int:
    """Bytes of an answer."""
    request = urllib.request.Request(server.web + path, headers=headers or {})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return len(answer.read())


def ingest(server: Measured, known: Known, options: argparse.Namespace, people: int) -> tuple[Figures, Clicks]:
    """Acknowledgements at the rate, beside so many people."""
    over, found = threading.Event(), Clicks()
    shape = Shape("grpc", 512, connections=4, in_flight=4)
    limits = ("--rate", str(options.rate), "--seconds", str(options.seconds))
    with sender(shape, *limits) as load, ThreadPoolExecutor(_PEOPLE) as threads:
        load.open(server.address(shape.transport))
        clicking = [threads.submit(person, server, known, number, over, found) for number in range(people)]
        load.start()
        try:
            done = load.finish()
        finally:
            over.set()
        for one in clicking:
            one.result()
    server.tree.wait_until_quiet()
    return done, found


def rounds(server: Measured, known: Known, options: argparse.Namespace) -> Figures:
    """Medians over the rounds of acknowledgements alone and beside people, and how long their clicks took."""
    taken: dict[str, list[Figures]] = {"alone": [], "beside": []}
    all_clicks = Clicks()
    for _ in range(options.rounds):
        for way, people in (("alone", 0), ("beside", _PEOPLE)):
            done, found = ingest(server, known, options, people)
            taken[way].append(done)
            for name, values in found.taken.items():
                all_clicks.taken.setdefault(name, []).extend(values)
    figures = {
        f"{way} {name}": float(np.median([one[name] for one in measured]))
        for way, measured in taken.items()
        for name in ("ack_p50_ms", "ack_p95_ms", "ack_p99_ms", "ack_max_ms")
    }
    for name, seconds in all_clicks.taken.items():
        for part in (50, 95):
            figures[f"{name} p{part} ms ({len(seconds)} clicks)"] = float(np.percentile(seconds, part)) * 1000
    return figures


# -- long texts -------------------------------------------------------------------------------------------------------


@contextmanager
def _watched(server: Measured) -> Iterator[Callable[[], tuple[float, float]]]:
    """What is used meanwhile: CPU seconds, and resident MiB above what there was before."""
    cpu, before, peak, over = server.cpu_seconds(), server.rss_mib(), [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peak[0] = max(peak[0], server.rss_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()

    def used() -> tuple[float, float]:
        over.set()
        watcher.join()
        return server.cpu_seconds() - cpu, max(peak[0], server.rss_mib()) - before

    yield used
    over.set()


def _page(server: Measured, size: int) -> tuple[float, int]:
    """The span's page: when its first byte came."""
    begun = time.perf_counter()
    path = f"{server.web}/runs/{_trace(size)}/spans/{_SPAN}?part=drawer"
    with urllib.request.urlopen(path, timeout=120) as answer:
        answer.read(1)
        first = time.perf_counter() - begun
        return first, len(answer.read()) + 1


def _beginning(server: Measured, size: int) -> tuple[float, int]:
    return _range(server, size, 0, _FIRST)


def _parts(server: Measured, size: int) -> tuple[float, int]:
    first, read_bytes = _beginning(server, size)
    while read_bytes < size:
        read_bytes += _range(server, size, read_bytes, _PART)[1]
    return first, read_bytes


def _whole(server: Measured, size: int) -> tuple[float, int]:
    return _range(server, size, 0, 0)


def _range(server: Measured, size: int, at: int, length: int) -> tuple[float, int]:
    """When the first byte came, and how many came; all of them for a length of 0."""
    headers = {"range": f"bytes={at}-{min(at + length, size) - 1}"} if length else {}
    path = f"{server.web}/api/v1/runs/{_trace(size)}/spans/{_SPAN}/input"
    begun = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(path, headers=headers), timeout=120) as answer:
        read_bytes = len(answer.read(1))
        first = time.perf_counter() - begun
        while part := answer.read(1 << 20):
            read_bytes += len(part)
    return first, read_bytes


def texts(server: Measured) -> list[list[str]]:
    """A row for each way to open each text."""
    ways = {
        "page of the span": _page,
        "first 64 KiB": _beginning,
        "64 KiB, then parts of 4 MiB": _parts,
        "whole in one answer": _whole,
    }
    rows = []
    for size, (name, opened) in itertools.product(_TEXTS, ways.items()):
        with _watched(server) as used:
            begun = time.perf_counter()
            first, read_bytes = opened(server, size)
            total = time.perf_counter() - begun
            cpu, memory = used()
        rows.append(
            [
                f"{size // _MB} MB, {name}",
                f"{first * 1000:.1f}",
                f"{total * 1000:.1f}",
                f"{cpu:.2f}",
                f"{memory:.0f}",
                f"{read_bytes:,}",
            ]
        )
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--spans", type=int, default=1_000_000, help="spans in the store")
    arguments.add_argument("--rate", type=float, default=15_000, help="spans a second")
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--keep", type=Path, help="the data directory, made once")
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmeter-readers-") as temporary:
        directory = options.keep or Path(temporary) / "data"
        known = in_own_process(prepare, directory, options.spans)
        with daemon(["store.ttl=0s", *options.set], directory=directory) as server:
            opened = texts(server)
            figures = rounds(server, known, options)
    print(table(["text", "first byte ms", "total ms", "CPU s", "memory MiB", "bytes"], opened))
    print(table(["figure", "value"], [[name, f"{figure:,.1f}"] for name, figure in figures.items()]))
    write(options, {"benchmark": "readers", "rate": options.rate, "texts": opened, **figures})


if __name__ == "__main__":
    main()
