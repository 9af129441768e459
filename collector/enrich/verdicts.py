"""Which spans of a trace are model calls to bill: each call once, however many spans report its usage.

A pure function of the spans known, so the order of their arrival cannot matter. Two things hide a second report of the
same tokens, and each is taken out in turn:

1. **Doubles**: two instrumentations describe one call. Spans belong together when they carry the same response id, or
   when one is an ancestor of the other and their totals are equal, or when different instrumentations report equal
   totals and one span lies within the other's time. The best report of each group stands.
2. **Roll-ups**: a span repeats the sum of what happened below it. Agents, tools and internal spans with usage do by
   nature, and so does what a convention declares an aggregate, as soon as a call stands below them. An LLM span does
   when its totals equal the sum of the two or more calls nearest below it.

What is left is billed, wherever it sits: a call whose only usage is on its parent is billed there. `foreign_doubles`
finds the doubles that an instrumentation which lost the context put into traces of their own.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

_LLM = "llm"


@dataclass(frozen=True, slots=True)
class Report:
    """One span that reports usage. Times are Unix nanoseconds; `detail` counts the priced parts it tells apart."""

    span_id: str
    kind: str
    input_tokens: int
    output_tokens: int
    detail: int = 0
    response_id: str = ""
    scope: str = ""
    start: int = 0
    end: int = 0
    aggregate: bool = False
    root: bool = False

    @property
    def totals(self) -> tuple[int, int]:
        return self.input_tokens, self.output_tokens

    @property
    def is_call(self) -> bool:
        """Whether it may describe a call of its own, rather than only sum up others."""
        return self.kind == _LLM and not self.aggregate


def standing_reports(reports: Mapping[str, Report], parents: Mapping[str, str]) -> set[str]:
    """The span ids to bill as far as one trace can tell.

    `reports` is by span id; `parents` maps every known span of the trace to its parent.
    """
    above = {span_id: tuple(_ancestors(span_id, reports, parents)) for span_id in reports}
    depth = {span_id: len(ancestors) for span_id, ancestors in above.items()}
    standing = _without_doubles(reports, above, depth)
    below: dict[str, list[str]] = defaultdict(list)
    for span_id in standing:
        for upper in above[span_id]:
            below[upper].append(span_id)
    for span_id in sorted(below, key=lambda span_id: (-depth[span_id], span_id)):
        calls = [other for other in below[span_id] if other in standing]
        if span_id in standing and calls and _rolls_up(span_id, calls, reports, above):
            standing.discard(span_id)
    return standing


def _ancestors(span_id: str, reports: Mapping[str, Report], parents: Mapping[str, str]) -> Iterator[str]:
    """Reporting spans above this one, nearest first. A cycle of parents ends the climb."""
    seen = {span_id}
    while (span_id := parents.get(span_id, "")) and span_id not in seen:
        seen.add(span_id)
        if span_id in reports:
            yield span_id


def _without_doubles(
    reports: Mapping[str, Report], above: Mapping[str, tuple[str, ...]], depth: Mapping[str, int]
) -> set[str]:
    """Every aggregate, and of each group of reports of one call the best."""
    groups = _Groups(reports)
    calls = sorted((report for report in reports.values() if report.is_call), key=lambda report: report.span_id)
    by_response: dict[str, str] = {}
    alike: dict[tuple[int, int], list[Report]] = defaultdict(list)
    for call in calls:
        if call.response_id:
            groups.join(call.span_id, by_response.setdefault(call.response_id, call.span_id))
        for upper in above[call.span_id]:
            if reports[upper].is_call and _may_be_one_call(call, reports[upper]):
                groups.join(call.span_id, upper)
        alike[call.totals].append(call)
    for candidates in alike.values():
        for outer, inner in _enclosed(candidates, lambda outer, inner: outer.scope != inner.scope):
            groups.join(outer.span_id, inner.span_id)
    standing = {span_id for span_id, report in reports.items() if not report.is_call}
    for group in groups.of(call.span_id for call in calls):
        standing.add(min(group, key=lambda span_id: (_rank(reports[span_id]), -depth[span_id], span_id)))
    return standing


def foreign_doubles(calls: Mapping[Key, Report]) -> dict[Key, Key]:
    """Among standing calls of one service with equal totals: those that are doubles, with the call that stands.

    An instrumentation that lost the trace context reports the call as the root of a trace of its own, within the time
    of the span that another instrumentation made for it.
    """
    keys = {id(report): key for key, report in calls.items()}

    def lost_context(outer: Report, inner: Report) -> bool:
        return inner.root and outer.scope != inner.scope and keys[id(outer)] != keys[id(inner)]

    doubles = {}
    for outer, inner in _enclosed(sorted(calls.values(), key=lambda call: call.span_id), lost_context):
        worse, better = (outer, inner) if _rank(inner) < _rank(outer) else (inner, outer)
        doubles[keys[id(worse)]] = keys[id(better)]
    return doubles


def _rank(report: Report) -> tuple[int, bool]:
    """The report that tells most stands; among equals the one within a run."""
    return -report.detail, report.root


def _may_be_one_call(first: Report, second: Report) -> bool:
    """Whether two reports agree: equal totals, and not two different response ids."""
    distinct = first.response_id and second.response_id and first.response_id != second.response_id
    return first.totals == second.totals and any(first.totals) and not distinct


def _enclosed(candidates: list[Report], doubles: Callable[[Report, Report], bool]) -> Iterator[tuple[Report, Report]]:
    """Pairs (outer, inner) that may be one call, where the inner lies within the outer's time.

    Each report is paired once, so that two equal calls within a third span's time do not become one.
    """
    if len({call.scope for call in candidates}) < 2:
        return
    open_calls: list[Report] = []
    for call in sorted(candidates, key=lambda call: (call.start, -call.end, call.span_id)):
        open_calls = [earlier for earlier in open_calls if earlier.end >= call.start]
        for earlier in reversed(open_calls):
            if call.end <= earlier.end and doubles(earlier, call) and _may_be_one_call(earlier, call):
                open_calls.remove(earlier)
                yield earlier, call
                break
        else:
            open_calls.append(call)


def _rolls_up(
    span_id: str, calls: list[str], reports: Mapping[str, Report], above: Mapping[str, tuple[str, ...]]
) -> bool:
    """Whether a report repeats the standing `calls` below it, which have been judged already."""
    if not reports[span_id].is_call:
        return True
    standing = set(calls)
    nearest = [reports[call] for call in calls if not standing.intersection(_between(call, span_id, above))]
    total = sum(call.input_tokens for call in nearest), sum(call.output_tokens for call in nearest)
    return len(nearest) > 1 and reports[span_id].totals == total


def _between(lower: str, upper: str, above: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    ancestors = above[lower]
    return ancestors[: ancestors.index(upper)]


class _Groups:
    """Disjoint sets of span ids (union-find)."""

    def __init__(self, span_ids: Iterable[str]) -> None:
        self._leader = {span_id: span_id for span_id in span_ids}

    def find(self, span_id: str) -> str:
        while self._leader[span_id] != span_id:
            self._leader[span_id] = self._leader[self._leader[span_id]]
            span_id = self._leader[span_id]
        return span_id

    def join(self, first: str, second: str) -> None:
        self._leader[self.find(first)] = self.find(second)

    def of(self, span_ids: Iterable[str]) -> Iterable[list[str]]:
        members: dict[str, list[str]] = defaultdict(list)
        for span_id in span_ids:
            members[self.find(span_id)].append(span_id)
        return members.values()
