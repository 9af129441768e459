"""A page of runs, newest first, without reading the runs that are not on it.

The sort key of `otel_traces` leads with the hour, so the hours are walked back from the newest, in slices that grow,
until the page is full. What is on the page is then summed from its own spans: right as of now, whatever was delivered
again or priced anew.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from collector.store.client import Store
from collector.store.sql import named_query

_SECOND = 1_000_000_000
_HOUR = timedelta(hours=1)
# Each step reads all of its hours: growing faster would read more than needed, slower would ask more often.
_GROWTH = 6
# Looking for a model or feature reads from the slice to the newest hour each time: fewer, wider slices.
_GROWTH_FILTERED = 24
# Beyond the page, for runs that began before the slice they are met in.
_SPARE = 20
# Of the first this many runs a page's worth, a common model or feature is on enough; a rarer one is worth looking for.
_COMMON = 5


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run's place in the list: its start in Unix nanoseconds, then its trace id."""

    start: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """Runs that began in [since, until), newest first; of those the first `limit` after the run `after`.

    With `model`, runs that called this model (of those in `Models`); with `feature`, runs of this feature.
    """

    since: datetime
    until: datetime
    limit: int = 100
    after: RunKey | None = None
    model: str = ""
    feature: str = ""

    @property
    def before(self) -> int:
        """The first nanosecond in which none of them began."""
        until = nanoseconds(self.until)
        return min(until, self.after.start + 1) if self.after else until


@dataclass(frozen=True, slots=True)
class _Found:
    """Traces that may be on the page. Every run is among them that began from `floor` on and is not in earlier ones."""

    trace_ids: list[str]
    floor: datetime


def list_runs(store: Store, project: str, wanted: RunsWanted) -> pa.Table:
    """The page, columns of the view `runs`. Raises Unavailable."""
    pages: list[pa.Table] = []
    missing = wanted.limit
    for found in _candidates(store, project, wanted):
        pages.append(_runs(store, project, wanted, found, missing))
        missing -= pages[-1].num_rows
        if missing <= 0:
            break
    return pa.concat_tables(pages) if pages else _runs(store, project, wanted, _Found([], wanted.since), 1)


def nanoseconds(moment: datetime) -> int:
    """Unix nanoseconds of a time with a zone."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _candidates(store: Store, project: str, wanted: RunsWanted) -> Iterator[_Found]:
    """Traces from the newest to the oldest; with a model or feature, after a first try only those with such a span."""
    first, before = _clamped(store, wanted)
    if first >= before:
        return
    filtered = bool(wanted.model or wanted.feature)
    name, limit = "runs_begun", wanted.limit * (_COMMON if filtered else 1) + _SPARE
    growth = _GROWTH_FILTERED if filtered else _GROWTH
    since, ceiling, width = _moment(first), _moment(before - 1) + _HOUR, _HOUR
    while True:
        floor = max(ceiling - width, since)
        full = True
        while full:
            parameters = {"floor": floor, "ceiling": ceiling, "before": before, "limit": limit}
            table = store.query(named_query(name), _filters(project, wanted) | parameters)
            begun = table.column("Begun").to_pylist()
            full = len(begun) >= limit
            if begun:
                yield _Found(table.column("TraceId").to_pylist(), floor)
            before = begun[-1] if full else before
            if filtered:
                name, limit = "runs_matching", wanted.limit
        if floor <= since:
            return
        ceiling, width = floor, width * growth


def _clamped(store: Store, wanted: RunsWanted) -> tuple[int, int]:
    """The period in nanoseconds, no longer than the table's."""
    period = store.query(named_query("period"), {}).to_pylist()[0]
    return max(nanoseconds(wanted.since), period["First"]), min(wanted.before, period["Last"] + 1)


def _runs(store: Store, project: str, wanted: RunsWanted, found: _Found, limit: int) -> pa.Table:
    key = wanted.after or RunKey(nanoseconds(wanted.until), "")
    parameters = {
        "trace_ids": found.trace_ids,
        "floor": found.floor,
        "since": nanoseconds(wanted.since),
        "until": nanoseconds(wanted.until),
        "after": key.start,
        "after_id": key.trace_id,
        "limit": limit,
    }
    return store.query(named_query("runs"), _filters(project, wanted) | parameters)


def _filters(project: str, wanted: RunsWanted) -> dict[str, Any]:
    return {"project": project, "model": wanted.model, "feature": wanted.feature}


def _moment(nanos: int) -> datetime:
    return datetime.fromtimestamp(nanos // _SECOND, tz=UTC)
