"""Questions about many runs: search, facets, figures of a window, conversations.

Each is one statement over `current_runs`, the runs that began in the hours of the period as their spans are now, or as
they were when `current` was read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from collector.query.current import CurrentRuns, current_runs
from collector.query.limits import Reader
from collector.query.listing import RunsWanted, list_runs
from collector.query.run_filter import RunFilter, hours_of
from collector.query.run_rows import (
    ConversationPage,
    FacetCount,
    Kpis,
    KpiWindows,
    RunKey,
    RunPage,
    RunRow,
    conversation_rows,
    kpis_of,
    run_rows,
)
from collector.store.sql import named_query

FACETS: Final = ("service", "agent", "model", "feature", "status", "problem")
_MAX = 2**63 - 1
_MAX_FACET_VALUES = 100
_TITLE_BYTES = 16 * 1024


def search(store: Reader, project: str, wanted: RunsWanted, current: CurrentRuns | None = None) -> RunPage:
    """The page that is asked for."""
    table = list_runs(store, project, wanted, current)
    rows = run_rows(table)
    full = len(rows) == wanted.limit
    return RunPage(rows, RunKey(table.column("Rank")[-1].as_py(), rows[-1].trace_id) if full else None)


def facets(
    store: Reader, project: str, asked: RunFilter, current: CurrentRuns | None = None
) -> dict[str, list[FacetCount]]:
    """Of each facet its values and how many runs have them, most first."""
    parameters = {"limit": _MAX_FACET_VALUES}
    counts: dict[str, list[FacetCount]] = {name: [] for name in FACETS}
    parts = {"any_failed_evals": "failed_evals"}
    for row in _answer(store, "run_facets", project, asked, parameters, parts, current).to_pylist():
        counts[row["Facet"]].append(FacetCount(row["Value"], row["Runs"]))
    return counts


def kpis(
    store: Reader,
    project: str,
    asked: RunFilter,
    other: tuple[int, int],
    steps: int,
    current: CurrentRuns | None = None,
) -> KpiWindows:
    """Figures of the period and of `other`, [since, until), with the same filters; of the period also in `steps`."""
    step = -(-(asked.until - asked.since) // steps) if steps else 0
    covered = replace(asked, since=min(asked.since, other[0]), until=max(asked.until, other[1]))
    parameters = {
        "since": asked.since,
        "until": asked.until,
        "other_since": other[0],
        "other_until": other[1],
        "step": step,
    }
    found = {
        (row["Window"], row["Step"]): kpis_of(row)
        for row in _answer(store, "run_kpis", project, covered, parameters, current=current).to_pylist()
    }
    starts = range(asked.since, asked.until, step) if step else ()
    each = [(start, found.get((0, number), Kpis())) for number, start in enumerate(starts)]
    return KpiWindows(found.get((0, -1), Kpis()), found.get((1, -1), Kpis()), each, found.get((2, -1), Kpis()).runs)


def conversations(
    store: Reader, project: str, asked: RunFilter, limit: int, after: RunKey | None = None
) -> ConversationPage:
    """Conversations by their latest run, newest first; `after.trace_id` is a conversation's id."""
    key = after or RunKey(_MAX, "")
    parameters = {"after": key.value, "after_id": key.trace_id, "limit": limit}
    rows = conversation_rows(_answer(store, "conversations", project, asked, parameters))
    full = len(rows) == limit
    return ConversationPage(rows, RunKey(rows[-1].last_start, rows[-1].conversation_id) if full else None)


def inputs_of(store: Reader, project: str, runs: Sequence[RunRow]) -> dict[str, str]:
    """By trace id the beginning of each run's first input, where it has one."""
    if not runs:
        return {}
    parameters = {
        "project": project,
        "trace_ids": [run.trace_id for run in runs],
        "starts": [run.start // 10**9 for run in runs],
        "length": _TITLE_BYTES,
    }
    found = store.query(named_query("run_titles"), parameters)
    titles = found.column("Title").cast(pa.binary()).to_pylist()  # it may be cut within a character
    ids = found.column("TraceId").to_pylist()
    return {trace_id: title.decode("utf-8", "ignore") for trace_id, title in zip(ids, titles, strict=True)}


def _answer(
    store: Reader,
    name: str,
    project: str,
    asked: RunFilter,
    parameters: Mapping[str, Any],
    others: Mapping[str, str] = MappingProxyType({}),
    current: CurrentRuns | None = None,
) -> pa.Table:
    """The answer of a statement about the runs of a period; `others` are parts as of `named_query`."""
    hours = hours_of(asked.since, asked.until)
    runs = current or current_runs(store, project, *hours)
    statement, of_runs = runs.statement(name, asked, *hours, others)
    return store.query(statement, {"project": project, **asked.parameters(), **of_runs, **parameters})
