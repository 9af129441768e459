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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key", bound=tuple[object, ...])

# An instrumentation wraps another within a few levels; a search to the root would be quadratic in a deep chain.
_MAX_LEVELS = 64


@dataclass(frozen=True, slots=True)
class Report:
    """One span that reports usage. Times are Unix nanoseconds; `detail` counts the priced parts it tells apart.

    `is_call`: it may describe a call of its own, rather than only sum up others.
    """

    span_id: str
    is_call: bool
    input_tokens: int
    output_tokens: int
    detail: int = 0
    response_id: str = ""
    scope: str = ""
    start: int = 0
    end: int = 0
    root: bool = False

    @property
    def totals(self) -> tuple[int, int]:
        return self.input_tokens, self.output_tokens


def billable_reports(reports: Mapping[str, Report], parents: Mapping[str, str]) -> set[str]:
    """The span ids to bill as far as one trace can tell.

    `reports` is by span id; `parents` maps every known span of the trace to its parent.
    """
    upper = _reporting_parents(reports, parents)
    depth = _depths(upper)
    billable = _without_doubles(reports, upper, depth)
    below: dict[str, _Sum] = defaultdict(_Sum)
    for span_id in sorted(upper, key=lambda span_id: (-depth[span_id], span_id)):
        if span_id in billable and _rolls_up(reports[span_id], below[span_id]):
            billable.discard(span_id)
        if upper[span_id]:
            nearest = _Sum(1, *reports[span_id].totals) if span_id in billable else below[span_id]
            below[upper[span_id]].add(nearest)
    return billable


@dataclass(slots=True)
class _Sum:
    """The billable reports nearest below a span: how many, and their totals."""

    count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, other: "_Sum") -> None:
        self.count += other.count
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens


def _rolls_up(report: Report, below: _Sum) -> bool:
    """Whether a report repeats the billable ones nearest below it, which have been decided already."""
    if not report.is_call:
        return below.count > 0
    return below.count > 1 and report.totals == (below.input_tokens, below.output_tokens)


def _reporting_parents(reports: Mapping[str, Report], parents: Mapping[str, str]) -> dict[str, str]:
    """The nearest reporting span above each reporting span, or the empty string. Cycles of parents are cut."""
    nearest: dict[str, str] = {}

    def find(span_id: str) -> str:
        path = []
        while span_id and span_id not in reports and span_id not in nearest:
            nearest[span_id] = ""  # met again, it is a cycle
            path.append(span_id)
            span_id = parents.get(span_id, "")
        found = span_id if span_id in reports else nearest.get(span_id, "")
        nearest.update(dict.fromkeys(path, found))
        return found

    upper = {span_id: find(parents.get(span_id, "")) for span_id in reports}
    done: set[str] = set()
    for span_id in sorted(upper):
        path, on_path = [], set()
        while span_id and span_id not in done and span_id not in on_path:
            path.append(span_id)
            on_path.add(span_id)
            span_id = upper[span_id]  # noqa: PLW2901 - climbing
        if span_id in on_path:
            upper[min(path[path.index(span_id) :])] = ""
        done |= on_path
    return upper


def _depths(upper: Mapping[str, str]) -> dict[str, int]:
    """How many reporting spans stand above each."""
    depth: dict[str, int] = {"": -1}
    for span_id in upper:
        path = []
        while span_id not in depth:
            path.append(span_id)
            span_id = upper[span_id]  # noqa: PLW2901 - climbing
        for step in reversed(path):
            depth[step] = depth[upper[step]] + 1
    return depth


def _without_doubles(reports: Mapping[str, Report], upper: Mapping[str, str], depth: Mapping[str, int]) -> set[str]:
    """Every aggregate, and of each group of reports of one call the best."""
    groups = _Groups(reports)
    calls = sorted((report for report in reports.values() if report.is_call), key=lambda report: report.span_id)
    by_response: dict[str, str] = {}
    alike: dict[tuple[int, int], list[Report]] = defaultdict(list)
    for call in calls:
        if call.response_id:
            groups.join(call.span_id, by_response.setdefault(call.response_id, call.span_id))
        for above in islice(_climb(call.span_id, upper), _MAX_LEVELS):
            if reports[above].is_call and _may_be_one_call(call, reports[above]):
                groups.join(call.span_id, above)
        alike[call.totals].append(call)
    for candidates in alike.values():
        for outer, inner in _enclosed(candidates, lambda outer, inner: outer.scope != inner.scope):
            groups.join(outer.span_id, inner.span_id)
    billable = {span_id for span_id, report in reports.items() if not report.is_call}
    for group in groups.of(call.span_id for call in calls):
        billable.add(min(group, key=lambda span_id: (_rank(reports[span_id]), -depth[span_id], span_id)))
    return billable


def _climb(span_id: str, upper: Mapping[str, str]) -> Iterator[str]:
    while span_id := upper[span_id]:
        yield span_id


def foreign_doubles(calls: Mapping[Key, Report]) -> dict[Key, Key]:
    """Among billable calls of one service with equal totals: those that are doubles, with the call that stands.

    An instrumentation that lost the trace context reports the call as the root of a trace of its own, within the time
    of the span that another instrumentation made for it. Calls with equal times and span ids are taken by their keys.
    """
    keys = {id(report): key for key, report in calls.items()}

    def lost_context(outer: Report, inner: Report) -> bool:
        return inner.root and outer.scope != inner.scope and keys[id(outer)] != keys[id(inner)]

    doubles = {}
    by_id = [calls[key] for key in sorted(calls, key=lambda key: (calls[key].span_id, key))]
    for outer, inner in _enclosed(by_id, lost_context):
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
        for place in reversed(range(len(open_calls))):
            earlier = open_calls[place]
            if call.end <= earlier.end and doubles(earlier, call) and _may_be_one_call(earlier, call):
                del open_calls[place]  # by its place: reports of different traces may be equal
                yield earlier, call
                break
        else:
            open_calls.append(call)


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
