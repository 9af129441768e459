"""Reading a filled embedded store: lists of runs, opening a run, spend.

    python -m benchmarks.queries [--spans 1000000] [--times 20] [--keep DIRECTORY]

Every question is asked with other parameters each time (project, period, trace), twice: `first` is the first asking,
`again` the second. Rows and bytes are what the engine read for the first asking, CPU is that of the whole process: both
tell more than wall time where the machine is shared. With --keep the store is made once and found again.
"""

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.filled import (
    BEGIN,
    END,
    FEATURES,
    LONG_RUN_SPANS,
    MODELS,
    PROJECTS,
    RUN_SPANS,
    UNKNOWN_MODEL,
    fill,
    long_run_ids,
)
from collector.config import StoreConfig
from collector.model.principal import Principal, Scope
from collector.model.times import nanoseconds
from collector.query.listing import RunSort, RunsWanted
from collector.query.run_filter import Attribute, RunFilter, RunStatus
from collector.query.service import Dimension, Query
from collector.runs import read_spans, run_of
from collector.runtime import configure_interpreter
from collector.store import Store, migrate, open_store
from collector.store.run_sums import forget_summed, sum_all
from collector.web.operation import answer
from collector.web.run import run_json
from collector.web.spans import spans_json

Ask = Callable[[], object]
_WEEK = timedelta(days=7)
_EVENTS = "SELECT event, toInt64(value) AS value FROM system.events WHERE event IN ('SelectedRows', 'SelectedBytes')"
_SOME_RUNS = """
SELECT Project, TraceId
FROM otel_traces
WHERE toDate(Timestamp) = toDate({day:DateTime}) AND ParentSpanId = ''
ORDER BY cityHash64(TraceId)
LIMIT {limit:UInt64}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", default="", help="Questions whose name this regular expression finds.")
    options = parser.parse_args()
    configure_interpreter()
    with _directory(options.keep) as directory:
        new = not any(directory.iterdir())
        store = open_store(StoreConfig(ttl=0), directory)
        migrate(store, 0)
        if new:
            fill(store, options.spans)
        sum_all(store)
        forget_summed(store, time.time_ns())
        print(
            f"{_count(store):,} rows; {options.times} times each; ms of first asking | asked again | CPU of the first"
        )
        for name, asks in _questions(store, options.times).items():
            if re.search(options.only, name):
                print(_measured(store, asks).line(name), flush=True)
        store.close()


@contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="spanmeter-queries-") as name:
        yield Path(name)


def _count(store: Store) -> int:
    return int(store.query("SELECT count() AS rows FROM otel_traces", {}).column("rows")[0].as_py())


@dataclass(slots=True)
class _Measured:
    """Seconds of each asking, CPU seconds and what the engine read in the first ones."""

    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rows: int = 0
    size: int = 0

    def line(self, name: str) -> str:
        times, asks = " | ".join(map(_quantiles, (self.first, self.again, self.cpu))), len(self.first)
        read = f"{self.rows / asks:>12,.0f} rows {self.size / asks / 1e6:>8,.1f} MB"
        return f"{name:38} {times} | {read}"


def _quantiles(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.95) - 1)]
    return f"p50 {statistics.median(ordered) * 1e3:>6,.0f} p95 {p95 * 1e3:>6,.0f} max {ordered[-1] * 1e3:>6,.0f}"


def _measured(store: Store, asks: list[Ask]) -> _Measured:
    found = _Measured()
    for ask in asks:
        before, cpu = _read(store), time.process_time()
        found.first.append(_seconds(ask))
        found.cpu.append(time.process_time() - cpu)
        after = _read(store)
        found.rows += after["SelectedRows"] - before["SelectedRows"]
        found.size += after["SelectedBytes"] - before["SelectedBytes"]
        found.again.append(_seconds(ask))
    return found


def _seconds(ask: Ask) -> float:
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def _read(store: Store) -> dict[str, int]:
    return {"SelectedRows": 0, "SelectedBytes": 0} | {
        row["event"]: row["value"] for row in store.query(_EVENTS, {}).to_pylist()
    }


def _questions(store: Store, times: int) -> dict[str, list[Ask]]:
    query, chance = Query(lambda: store), random.Random(1)
    newest = [(_principal(project), END - timedelta(minutes=chance.randrange(4320))) for project in PROJECTS * times]
    chance.shuffle(newest)
    short = [(_principal(row["Project"]), row["TraceId"]) for row in _some_runs(store, times)]
    long = [(_principal(project), trace_id) for project in PROJECTS for trace_id in long_run_ids(store, project)]
    long = (long * times)[:times]
    lists: dict[str, dict[str, Any]] = {
        "newest 100 runs": {},
        "newest 100 runs of a model": {"model": MODELS[0]},
        "newest 100 runs of a model in 0.5 %": {"model": UNKNOWN_MODEL},
        "newest 100 runs of a feature": {"feature": FEATURES[0]},
        "newest 100 runs of a feature in 0.02 %": {"feature": FEATURES[-1]},
        "newest 100 runs of a user in 0.02 %": {"user": "user-17"},
        "newest 100 runs of an agent": {"agent": "desk"},
        "newest 100 runs of no agent there is": {"agent": "nobody"},
        "newest 100 runs that failed, 1 %": {"status": RunStatus.FAILED},
        "newest 100 runs of a feature and user": {"feature": FEATURES[0], "user": "user-17"},
        "dearest 100 runs": {"sort": RunSort.COST},
        "longest 100 runs of a feature": {"sort": RunSort.DURATION, "feature": FEATURES[0]},
        "newest 100 runs with a common text": {"text": "careful assistant"},
        "newest 100 runs with a rare text": {"text": "chatcmpl-none"},
        "newest 100 runs of a tenant in 0.1 %": {"attribute": Attribute("tenant", "17")},
    }
    asks: dict[str, list[Ask]] = {
        name: [_list(query, principal, until, **only) for principal, until in newest[:times]]
        for name, only in lists.items()
    }
    for name, filters in (("", {}), (" of a feature", {"feature": FEATURES[0]})):
        asked = [(principal, _filter(until, **filters)) for principal, until in newest[:times]]
        asks[f"facets{name}, 7 days"] = [_facets(query, *each) for each in asked]
        asks[f"figures{name}, 7 days beside 7"] = [_kpis(query, *each) for each in asked]
        asks[f"conversations{name}, 7 days"] = [_conversations(query, *each) for each in asked]
    asks["next 100 runs"] = [_next(query, principal, until) for principal, until in newest[:times]]
    asks |= {
        f"{what} of {spans:,} spans": [ask(query, principal, trace_id) for principal, trace_id in runs]
        for spans, runs in ((RUN_SPANS, short), (LONG_RUN_SPANS, long))
        for what, ask in (("rows", _rows), ("spans (JSON)", _spans), ("document (JSON)", _document))
    }
    for by in (Dimension.MODEL, Dimension.DAY, Dimension.FEATURE):
        for days in (1, 10):
            asks[f"spend by {by.value}, {days} days"] = [
                _spend(query, _principal(project), by, days) for project in (PROJECTS * times)[:times]
            ]
    asks["unpriced models"] = [_unpriced(query, _principal(project)) for project in (PROJECTS * times)[:times]]
    return asks


def _principal(project: str) -> Principal:
    return Principal(name="benchmark", project=project, scopes=frozenset(Scope))


def _some_runs(store: Store, times: int) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = store.query(_SOME_RUNS, {"day": BEGIN + timedelta(days=5), "limit": times}).to_pylist()
    return rows


def _filter(until: datetime, **only: Any) -> RunFilter:
    return RunFilter(nanoseconds(until - _WEEK), nanoseconds(until), **only)


def _list(query: Query, principal: Principal, until: datetime, **only: Any) -> Ask:
    wanted = RunsWanted(nanoseconds(until - _WEEK), nanoseconds(until), **only)
    return lambda: query.search(principal, wanted)


def _next(query: Query, principal: Principal, until: datetime) -> Ask:
    wanted = RunsWanted(nanoseconds(until - _WEEK), nanoseconds(until))
    following = replace(wanted, after=query.search(principal, wanted).next)
    return lambda: query.search(principal, following)


def _facets(query: Query, principal: Principal, asked: RunFilter) -> Ask:
    return lambda: query.facets(principal, asked)


def _kpis(query: Query, principal: Principal, asked: RunFilter) -> Ask:
    return lambda: query.kpis(principal, asked, steps=28)


def _conversations(query: Query, principal: Principal, asked: RunFilter) -> Ask:
    return lambda: query.conversations(principal, asked)


def _rows(query: Query, principal: Principal, trace_id: str) -> Ask:
    return lambda: query.trace(principal, trace_id)


def _spans(query: Query, principal: Principal, trace_id: str) -> Ask:
    return lambda: answer(spans_json(query.trace(principal, trace_id))).body


def _document(query: Query, principal: Principal, trace_id: str) -> Ask:
    return lambda: answer(run_json(trace_id, run_of(read_spans(query.run_spans(principal, trace_id))))).body


def _spend(query: Query, principal: Principal, by: Dimension, days: int) -> Ask:
    return lambda: query.spend(principal, by, nanoseconds(END - timedelta(days=days)), nanoseconds(END))


def _unpriced(query: Query, principal: Principal) -> Ask:
    return lambda: query.unpriced(principal)


if __name__ == "__main__":
    main()
