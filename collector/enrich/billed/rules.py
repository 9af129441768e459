"""Which spans of a trace are model calls to bill: each call once, however many spans report its usage.

A pure function of the spans known, so the order of their arrival cannot matter. Two things hide a second report of the
same tokens, and each is taken out in turn:

1. **Doubles**: two instrumentations describe one call. Spans belong together when they carry the same response id and
   their totals agree or their times overlap, or when one is an ancestor of the other and their totals are equal, or
   when different instrumentations report equal totals and one span lies within the other's time. Evidence against wins:
   two response ids, two models or two providers are two calls. The best report of each group stands.
2. **Roll-ups**: a span repeats the sum of what happened below it. Agents, tools and internal spans with usage do by
   nature, and so does what a convention declares an aggregate, as soon as a call stands below them. An LLM span does
   when its totals equal the sum of the two or more calls nearest below it.

What is left is billed, wherever it sits: a call whose only usage is on its parent is billed there. `foreign_answers`
and `foreign_doubles` find the doubles that an instrumentation which lost the context put into traces of their own.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Generic, NamedTuple, TypeVar

from collector.enrich.billed.names import NO_MODELS, Models

Key = TypeVar("Key", bound=tuple[object, ...])
Id = TypeVar("Id", bound=Hashable)
Pair = tuple["Report", "Report"]

# An instrumentation wraps another within a few levels; a search to the root would be quadratic in a deep chain.
_MAX_LEVELS = 64
# Of the calls that enclose one, so many that are refused for their names; a search through all would be quadratic.
_MAX_REFUSED = 64

# Ids of providers are longer (Gemini's, the shortest, have 22 characters): `1` and `chatcmpl-mock` are made up, and
# so is what has no digit.
_MIN_ID = 16
# More reports with one id than one call has: the id is made up.
MAX_ANSWERS = 16

# Counters of one stream differ by what some add up twice: Anthropic's first event counts up to 8 tokens of output that
# the last one counts again.
_NEAR_TOKENS, _NEAR_SHARE = 8, 50

# Clocks that count whole milliseconds let the inner span stick out; of short ones not more than a quarter.
_MAX_OVERHANG = 2_000_000
_OVERHANG_SHARE = 4


@dataclass(frozen=True, slots=True)
class Report:
    """One span that reports usage. Times are Unix nanoseconds; `detail` counts the priced parts it tells apart.

    `is_call`: it may describe a call of its own, rather than only sum up others. `models` and `provider` are numbers of
    `names`.
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
    models: Models = NO_MODELS
    provider: int = 0

    @property
    def totals(self) -> tuple[int, int]:
        return self.input_tokens, self.output_tokens

    @property
    def proving_id(self) -> str:
        """The response id, if it is one that a provider gave to one response; else empty."""
        found = self.response_id
        return found if len(found) >= _MIN_ID and any("0" <= sign <= "9" for sign in found) else ""


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
    calls = sorted((report for report in reports.values() if report.is_call), key=lambda report: report.span_id)
    groups: _Groups[str] = _Groups({call.span_id: call for call in calls})
    for first, second in (*_answers(calls), *_nested(calls, reports, upper), *_side_by_side(calls)):
        groups.join(first.span_id, second.span_id)
    billable = {span_id for span_id, report in reports.items() if not report.is_call}
    for group in groups.all():
        billable.add(min(group, key=lambda span_id: (rank(reports[span_id]), -depth[span_id], span_id)))
    return billable


def rank(report: Report) -> tuple[int, bool]:
    """The report that tells most stands; among equals the one within a run."""
    return -report.detail, report.root


def rank_across(report: Report) -> tuple[bool, int]:
    """Of two traces the call stays in the run that it belongs to, whose agent, feature and user it counts for."""
    return report.root, -report.detail


# -- one response id -------------------------------------------------------------------------------------------------


def _answers(calls: Iterable[Report]) -> Iterator[Pair]:
    by_response: dict[str, list[Report]] = defaultdict(list)
    for call in calls:
        if call.proving_id:
            by_response[call.proving_id].append(call)
    for answers in by_response.values():
        yield from _one_answer(answers)


def _one_answer(reports: list[Report]) -> Iterator[Pair]:
    """Of reports with one response id those that are of one call, as pairs.

    An id that one instrumentation gives to calls beside each other proves nothing: it is made up.
    """
    if not 1 < len(reports) <= MAX_ANSWERS:
        return
    pairs = list(combinations(sorted(reports, key=_by_time), 2))
    if any(first.scope == second.scope and not _encloses(first, second) for first, second in pairs):
        return
    for first, second in pairs:
        if not first.models.differ(second.models) and _may_share_id(first, second):
            yield first, second


def _may_share_id(earlier: Report, later: Report) -> bool:
    """Whether the times or totals are those of one call, and the providers are one or a gateway and its upstream."""
    if _providers_differ(earlier, later):
        return any(earlier.models) and any(later.models) and _encloses(earlier, later)
    return earlier.end >= later.start or all(map(_is_near, earlier.totals, later.totals))


def _is_near(first: int, second: int) -> bool:
    """Whether two counts are equal but for how a stream was counted, or one was not counted at all."""
    larger = max(first, second)
    return not first or not second or abs(first - second) <= max(_NEAR_TOKENS, larger // _NEAR_SHARE)


def foreign_answers(calls: Mapping[Key, Report]) -> list[list[Key]]:
    """Of billable calls of one service with one response id: the groups, each of reports of one call.

    Keys begin with the trace; what its own rules keep apart stays so.
    """
    keys = {id(report): key for key, report in calls.items()}
    groups: _Groups[Key] = _Groups(calls)
    for first, second in _one_answer([calls[key] for key in sorted(calls)]):
        if keys[id(first)][0] != keys[id(second)][0]:
            groups.join(keys[id(first)], keys[id(second)])
    return [group for group in groups.all() if len(group) > 1]


# -- one span below the other ----------------------------------------------------------------------------------------


def _nested(calls: Iterable[Report], reports: Mapping[str, Report], upper: Mapping[str, str]) -> Iterator[Pair]:
    """Calls and those above that may be the same, the nearest first."""
    found = []
    for call in calls:
        for level, above in enumerate(islice(_climb(call.span_id, upper), _MAX_LEVELS)):
            if reports[above].is_call and _may_wrap(reports[above], call):
                found.append((level, call.span_id, above))
    for _, span_id, above in sorted(found):
        yield reports[span_id], reports[above]


def _climb(span_id: str, upper: Mapping[str, str]) -> Iterator[str]:
    while span_id := upper[span_id]:
        yield span_id


def _may_wrap(above: Report, call: Report) -> bool:
    """A gateway has a provider's name of its own, and a client of one API reaches others: the model decides then."""
    if not _may_be_one_call(above, call):
        return False
    return (any(above.models) and any(call.models)) or not _providers_differ(above, call)


def _may_be_one_call(first: Report, second: Report) -> bool:
    """Whether totals are equal, and neither response ids nor models are two."""
    if first.totals != second.totals or not any(first.totals):
        return False
    return not _ids_differ(first, second) and not first.models.differ(second.models)


def _ids_differ(first: Report, second: Report) -> bool:
    return bool(first.response_id and second.response_id) and first.response_id != second.response_id


def _providers_differ(first: Report, second: Report) -> bool:
    return bool(first.provider and second.provider) and first.provider != second.provider


# -- one span beside the other ---------------------------------------------------------------------------------------


def _side_by_side(calls: Iterable[Report]) -> Iterator[Pair]:
    alike: dict[tuple[int, int], list[Report]] = defaultdict(list)
    for call in calls:
        if any(call.totals):
            alike[call.totals].append(call)
    for _, candidates in sorted(alike.items()):
        yield from _beside(candidates)


def _beside(candidates: list[Report]) -> Iterator[Pair]:
    """Pairs of calls of equal totals; then, of three or more instrumentations, pairs of pairs."""
    told = {call.span_id: ({call.scope}, call.end) for call in candidates}

    def adds(outer: Report, inner: Report) -> bool:
        (scopes, until), (others, _) = told[outer.span_id], told[inner.span_id]
        return inner.start <= until and scopes.isdisjoint(others)

    while pairs := list(_enclosed(candidates, adds)):
        yield from pairs
        if len({call.scope for call in candidates}) < 3:
            return
        for outer, inner in pairs:
            (scopes, until), (others, end) = told[outer.span_id], told[inner.span_id]
            told[outer.span_id] = scopes | others, min(until, end)
        inside = {inner.span_id for _, inner in pairs}
        candidates = [call for call in candidates if call.span_id not in inside]


def foreign_doubles(calls: Mapping[Key, Report]) -> dict[Key, Key]:
    """Among billable calls of one service with equal totals: those that are doubles, with the call that stands.

    An instrumentation that lost the trace context reports the call as the root of a trace of its own, within the time
    of the span that another instrumentation made for it. Calls with equal times and span ids are taken by their keys.
    """
    keys = {id(report): key for key, report in calls.items()}

    def lost_context(outer: Report, inner: Report) -> bool:
        return (inner.root or outer.root) and keys[id(outer)] != keys[id(inner)]

    doubles = {}
    by_id = [calls[key] for key in sorted(calls, key=lambda key: (calls[key].span_id, key))]
    for outer, inner in _enclosed(by_id, lost_context, lost=True):
        worse, better = (outer, inner) if rank_across(inner) < rank_across(outer) else (inner, outer)
        doubles[keys[id(worse)]] = keys[id(better)]
    return doubles


def _enclosed(
    candidates: list[Report], accepts: Callable[[Report, Report], bool], *, lost: bool = False
) -> Iterator[Pair]:
    """Pairs (earlier, later) of different scopes that may be one call, where one lies within the other's time.

    Each report is paired once, so that two equal calls within a third span's time do not become one. `lost`: the
    later one has to be a root, unless both start together.
    """
    if len({call.scope for call in candidates}) < 2:
        return
    open_calls: list[Report] = []
    for call in sorted(candidates, key=_by_time):
        open_calls = [earlier for earlier in open_calls if earlier.end >= call.start]
        found = _outer_of(call, open_calls, accepts, lost=lost)
        if found is None:
            open_calls.append(call)
        else:
            yield open_calls.pop(found), call


def _outer_of(
    call: Report, open_calls: list[Report], accepts: Callable[[Report, Report], bool], *, lost: bool
) -> int | None:
    """The place of the latest call that this one may be a second report of."""
    refused = 0
    for place in reversed(range(len(open_calls))):
        earlier = open_calls[place]
        if earlier.scope == call.scope or _ids_differ(earlier, call) or not _encloses(earlier, call):
            continue
        if lost and not call.root and not _start_together(earlier, call):
            continue
        if _names_agree(earlier, call) and accepts(earlier, call):
            return place
        refused += 1
        if refused == _MAX_REFUSED:
            break
    return None


def _names_agree(first: Report, second: Report) -> bool:
    return not _providers_differ(first, second) and not first.models.differ(second.models)


def _by_time(report: Report) -> tuple[int, int, str]:
    return report.start, -report.end, report.span_id


def _encloses(earlier: Report, later: Report) -> bool:
    """Whether one lies within the other's time, but for what clocks differ by; `earlier` starts first."""
    within = earlier.end >= later.end - _overhang(later) or _start_together(earlier, later)
    return within and earlier.end >= later.start


def _start_together(earlier: Report, later: Report) -> bool:
    return earlier.start >= later.start - _overhang(later)


def _overhang(report: Report) -> int:
    return max(0, min(_MAX_OVERHANG, (report.end - report.start) // _OVERHANG_SHARE))


# -- groups ----------------------------------------------------------------------------------------------------------


class _Evidence(NamedTuple):
    """What the reports of a group say of the call."""

    models: Models
    response_id: str


class _Groups(Generic[Id]):
    """Disjoint sets of reports (union-find), each of which says of its call one thing at most."""

    def __init__(self, reports: Mapping[Id, Report]) -> None:
        self._leader: dict[Id, Id] = {key: key for key in reports}
        self._evidence: dict[Id, _Evidence] = {
            key: _Evidence(report.models, report.response_id) for key, report in reports.items()
        }

    def find(self, key: Id) -> Id:
        while self._leader[key] != key:
            self._leader[key] = self._leader[self._leader[key]]
            key = self._leader[key]
        return key

    def join(self, first: Id, second: Id) -> None:
        """Make two groups one, unless what they say contradicts."""
        leader, other = self.find(first), self.find(second)
        mine, others = self._evidence[leader], self._evidence[other]
        distinct = bool(mine.response_id and others.response_id) and mine.response_id != others.response_id
        if leader == other or distinct or mine.models.differ(others.models):
            return
        self._leader[leader] = other
        self._evidence[other] = _Evidence(mine.models.merged(others.models), mine.response_id or others.response_id)

    def all(self) -> Iterable[list[Id]]:
        members: dict[Id, list[Id]] = defaultdict(list)
        for key in self._leader:
            members[self.find(key)].append(key)
        return members.values()
