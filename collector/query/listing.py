"""A page of runs without reading all of a period.

The newest are found by walking back the hours, in slices that grow, until the page is full. What a run is comes from
kept sums, and from its spans where these have changed since: right as of now, whatever was delivered again or priced
anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from collector.query.current import CurrentRuns, current_runs
from collector.query.limits import Reader
from collector.query.run_filter import HOUR_NS, RunFilter, hours_of, moment
from collector.query.run_rows import RunKey
from collector.store.sql import named_query

# Each step reads all of its hours: growing faster would read more than needed, slower would ask more often.
_GROWTH = 12
_MAX = 2**63 - 1


class RunSort(StrEnum):
    """What a list of runs is ordered by, highest first."""

    START = "start"
    COST = "cost"
    DURATION = "duration"
    TOKENS = "tokens"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunsWanted(RunFilter):
    """The first `limit` matching runs after the run `after`, highest first by `sort`, or lowest first."""

    limit: int = 100
    after: RunKey | None = None
    sort: RunSort = RunSort.START
    ascending: bool = False

    @property
    def by_failures(self) -> bool:
        return self.sort is RunSort.FAILED


def list_runs(store: Reader, project: str, wanted: RunsWanted, current: CurrentRuns | None = None) -> pa.Table:
    """The page: the columns of the view `runs`, more of the run, and last its `Rank`. Raises Unavailable."""
    after = wanted.after or RunKey(_MAX, "")
    parameters = {
        "project": project,
        **wanted.parameters(),
        "sort": wanted.sort.value,
        "sign": -1 if wanted.ascending else 1,
        "after": after.value,
        "after_id": after.trace_id,
    }
    hours = _hours(store, wanted)
    runs = current or current_runs(store, project, *hours)
    pages: list[pa.Table] = []
    missing = wanted.limit
    for floor, ceiling in _slices(wanted, *hours):
        statement, slice_parameters = runs.statement("runs_search", wanted, floor, ceiling)
        pages.append(store.query(statement, {**parameters, **slice_parameters, "limit": missing}))
        missing -= pages[-1].num_rows
        if missing <= 0:
            break
    return pa.concat_tables(pages)


def _hours(store: Reader, wanted: RunsWanted) -> tuple[datetime, datetime]:
    """The hours to look in: those of the period, no longer than the table's."""
    period = store.query(named_query("period"), {}).to_pylist()[0]
    first, end = max(wanted.since, period["First"]), min(wanted.until, period["Last"] + 1)
    if _walked_back(wanted) and wanted.after:
        end = min(end, wanted.after.value + 1)
    return hours_of(first, max(first, end))


def _walked_back(wanted: RunsWanted) -> bool:
    return wanted.sort is RunSort.START and not wanted.ascending


def _slices(wanted: RunsWanted, first: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours, one after the other: of the newest first in slices, of other orders all at once."""
    if not _walked_back(wanted):
        yield first, end
        return
    floor, ceiling = (int(each.timestamp()) * 10**9 for each in (first, end))
    width = HOUR_NS
    while True:
        begin = ceiling - width
        if begin - floor < width:  # what is left is not worth a question of its own
            begin = floor
        yield moment(begin), moment(ceiling)
        if begin <= floor:
            return
        ceiling, width = begin, width * _GROWTH
