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

from collector.query.current import current_runs
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


def list_runs(store: Reader, project: str, wanted: RunsWanted) -> pa.Table:
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
    current = current_runs(store, project)
    pages: list[pa.Table] = []
    missing = wanted.limit
    for floor, ceiling in _slices(store, wanted):
        statement, slice_parameters = current.statement("runs_search", wanted, floor, ceiling)
        pages.append(store.query(statement, {**parameters, **slice_parameters, "limit": missing}))
        missing -= pages[-1].num_rows
        if missing <= 0:
            break
    return pa.concat_tables(pages)


def _slices(store: Reader, wanted: RunsWanted) -> Iterator[tuple[datetime, datetime]]:
    """The hours to look in, one after the other: of the newest first in slices, of other orders all at once."""
    first, end = _clamped(store, wanted)
    walked_back = wanted.sort is RunSort.START and not wanted.ascending
    if walked_back and wanted.after:
        end = min(end, wanted.after.value + 1)
    whole = hours_of(first, max(first, end))
    if not walked_back:
        yield whole["floor"], whole["ceiling"]
        return
    floor, ceiling = (int(whole[name].timestamp()) * 10**9 for name in ("floor", "ceiling"))
    width = HOUR_NS
    while True:
        begin = ceiling - width
        if begin - floor < width:  # what is left is not worth a question of its own
            begin = floor
        yield moment(begin), moment(ceiling)
        if begin <= floor:
            return
        ceiling, width = begin, width * _GROWTH


def _clamped(store: Reader, wanted: RunFilter) -> tuple[int, int]:
    """The period in nanoseconds, no longer than the table's."""
    period = store.query(named_query("period"), {}).to_pylist()[0]
    return max(wanted.since, period["First"]), min(wanted.until, period["Last"] + 1)
