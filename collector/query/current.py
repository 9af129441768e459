"""Runs as their spans are now: kept sums, and of the runs that have changed since these were made, their spans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from collector.query.limits import Reader
from collector.query.run_filter import Problem, RunFilter
from collector.store.sql import named_query

_HOUR = 3600
# Of more runs than this, or of one with spans over more hours, the store looks up the names and hours by itself.
_MAX_NAMED = 5_000
_MAX_HOURS = 2_000


@dataclass(frozen=True, slots=True)
class _Run:
    """A run, and the first and last of its hours in Unix seconds."""

    trace_id: str
    first: int
    last: int

    @property
    def hours(self) -> range:
        return range(self.first, self.last + 1, _HOUR)


@dataclass(frozen=True, slots=True)
class CurrentRuns:
    """How statements about runs of some hours read them.

    `changed` are the runs with spans in these hours that kept sums do not hold for; None: too many.
    """

    changed: Sequence[_Run] | None

    def statement(
        self,
        name: str,
        asked: RunFilter,
        floor: datetime,
        ceiling: datetime,
        others: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[str, Mapping[str, Any]]:
        """The statement about runs that began in the hours [floor, ceiling), and its parameters.

        Without what is not needed: the engine takes longer to plan a union than to read a page of kept sums. `others`
        are parts as of `named_query`.
        """
        parts, parameters = self._parts(floor, ceiling)
        statement = named_query(name, **{**parts, **_asked_parts(asked), **others})
        return statement, {**parameters, "floor": floor, "ceiling": ceiling}

    def _parts(self, floor: datetime, ceiling: datetime) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        if self.changed is None:
            return {}, {}
        if not self.changed:
            return {"current_runs": "kept_runs"}, {}
        named = {"unsummed": [run.trace_id for run in self.changed]}
        # The store's hours may begin at other minutes than UTC's.
        begin, end = floor.timestamp() - _HOUR, ceiling.timestamp()
        here = [(hour, run.trace_id) for run in self.changed if begin < run.first < end for hour in run.hours]
        if not here:
            return {"current_runs": "kept_runs_but", "unsummed_runs": "some_unsummed_runs"}, named
        hours, trace_ids = map(list, zip(*here, strict=True))
        parts = {"unsummed_runs": "some_unsummed_runs", "changed_runs": "named_runs"}
        return parts, {**named, "hours": hours, "trace_ids": trace_ids}


def _asked_parts(asked: RunFilter) -> Mapping[str, str]:
    """The parts that look beyond sums of runs, where something is asked of it."""
    parts = {"by_no_spans": "by_spans"} if asked.text or asked.attribute else {}
    if asked.verdict or asked.evaluator:
        parts["by_no_evaluations"] = "by_evaluations"
    if asked.problem is Problem.FAILED_EVALS:
        parts["any_failed_evals"] = "failed_evals"
    if asked.by_failures:
        parts |= {"runs_to_rank": "runs_with_failures", "no_failures": "failures"}
    return parts


def current_runs(store: Reader, project: str, floor: datetime, ceiling: datetime) -> CurrentRuns:
    """As of now, for statements about runs that began in the hours [floor, ceiling) or in some of these.

    Raises Unavailable.
    """
    asked = {"project": project, "floor": floor, "ceiling": ceiling, "limit": _MAX_NAMED + 1}
    rows = store.query(named_query("unsummed_of_project"), asked).to_pylist()
    if rows:
        store.on_unsummed()
    changed = [_Run(row["TraceId"], row["First"], row["Last"]) for row in rows]
    if len(changed) > _MAX_NAMED or any(len(run.hours) > _MAX_HOURS for run in changed):
        return CurrentRuns(None)
    return CurrentRuns(changed)
