"""Which spans tell of one model call: the billed one, and its doubles.

Two instrumentations may describe a call twice, one library may wrap another. The decision on who is billed is in the
rows; here the spans are brought together, as the billed one may know the tokens and its double the conversation.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from collector.model.facts import Kind
from collector.runs.messages import Message, Messages, ToolCall, requested
from collector.runs.sources import may_request_tools, recorded_input, recorded_output
from collector.runs.span import Span, by_time
from collector.runs.tree import Tree

_Joined = dict[str, dict[str, Span]]  # of each span those that are one call with it

# Clocks that count whole milliseconds let the inner span stick out; of short ones not more than a quarter.
_MAX_OVERHANG = 2_000_000
_OVERHANG_SHARE = 4

_BETWEEN = frozenset({Kind.INTERNAL.value, Kind.EVAL.value, ""})


@dataclass(frozen=True)
class Call:
    """One model call. `reports` are all spans that tell of it, `span` first: the one whose usage and cost count.

    Of the conversation only what is asked for is read, once: of most calls nobody asks for all of it.
    """

    reports: tuple[Span, ...]

    @property
    def span(self) -> Span:
        return self.reports[0]

    @property
    def messages(self) -> Messages:
        """What the reports tell of the conversation, of each side the one that tells most."""
        return Messages(self.input, self.output)

    @cached_property
    def input(self) -> tuple[Message, ...]:
        return _most(map(recorded_input, self.reports))

    @cached_property
    def output(self) -> tuple[Message, ...]:
        return _most(map(recorded_output, self.reports))

    @cached_property
    def requests(self) -> tuple[ToolCall, ...]:
        """The tools the answer asks for."""
        return requested(self.output) if any(map(may_request_tools, self.reports)) else ()

    @cached_property
    def outermost(self) -> Span:
        """The report that lasted longest: a library's, around its client's."""
        return self.reports[0] if len(self.reports) == 1 else min(self.reports, key=by_time)

    def text(self, name: str) -> str:
        """A text column: what the first report says that says anything."""
        for report in self.reports:
            if found := str(getattr(report, name)):
                return found
        return ""


def calls(spans: Iterable[Span], tree: Tree) -> list[Call]:
    """The conversing model calls among `spans`, in order of time.

    - A model span right below another (nothing but internal spans between) is one call with it, unless both are
      billed, their response ids differ, or there are several: then the upper one, if unbilled, only encloses them.
    - A rolled-up span is one call with the billed span that has its response id; else with one that has its tokens,
      encloses it in time or is enclosed (but for what clocks differ by), and is of another instrumentation. Of
      several one that names its model is taken before others.
    - Spans of two instrumentations without usage are one failed call when their response ids are equal.
    - A rolled-up span that is one call with none (its double is in another trace, or it is a sum) is no call.
    """
    recorded = sorted((span for span in spans if span.converses), key=by_time)
    joined = {span.span_id: {span.span_id: span} for span in recorded}
    enclosing = _join_nested(recorded, tree, joined)
    _join_twins(recorded, joined)
    _join_unanswered(recorded, joined)
    groups = {min(group): list(group.values()) for group in joined.values()}
    found = [_call(group) for group in groups.values() if _is_call(group, enclosing)]
    return sorted(found, key=lambda call: by_time(call.outermost))


def _join_nested(recorded: Sequence[Span], tree: Tree, joined: _Joined) -> set[str]:
    """Bring nested reports together; the ids of those that only enclose several calls."""
    below: dict[str, list[Span]] = defaultdict(list)
    for span in recorded:
        above = next((above for above in tree.ancestors(span.span_id) if above.kind not in _BETWEEN), None)
        if above and above.converses:
            below[above.span_id].append(span)
    enclosing = set()
    for upper in recorded:
        lower = below.get(upper.span_id, [])
        if len(lower) == 1 and _may_be_one(upper, lower[0]):
            _join(joined, upper, lower[0])
        elif len(lower) > 1:
            for span in lower:
                if upper.stands and span.rolled_up and _may_be_one(upper, span):
                    _join(joined, upper, span)
            if not upper.stands:
                enclosing.add(upper.span_id)
    return enclosing


def _join_twins(recorded: Sequence[Span], joined: _Joined) -> None:
    billed = [span for span in recorded if span.stands]
    answers: dict[str, list[Span]] = defaultdict(list)
    alike: dict[tuple[int, int], list[Span]] = defaultdict(list)
    for span in billed:
        alike[span.input_tokens, span.output_tokens].append(span)
        if span.response_id:
            answers[span.response_id].append(span)
    for span in recorded:
        if not span.rolled_up or len(joined[span.span_id]) > 1:
            continue
        twin = _best_twin(span, answers[span.response_id] if span.response_id else ())
        others = alike[span.input_tokens, span.output_tokens]
        twin = twin or _best_twin(span, [other for other in others if _enclose(span, other)])
        if twin:
            _join(joined, span, twin)


def _join_unanswered(recorded: Sequence[Span], joined: _Joined) -> None:
    """Bring together what tells of one failed request: it has an id, and no usage to be known by."""
    by_id: dict[str, list[Span]] = defaultdict(list)
    for span in recorded:
        if span.response_id and not span.stands and not span.rolled_up:
            by_id[span.response_id].append(span)
    for first, *others in by_id.values():
        for other in others:
            if other.scope != first.scope:
                _join(joined, first, other)


def _best_twin(span: Span, candidates: Iterable[Span]) -> Span | None:
    """Rather one that names the model of `span`, and of such one that runs at its time."""
    return min(
        candidates, key=lambda other: (not _models(other) & _models(span), not _enclose(span, other)), default=None
    )


def _enclose(first: Span, second: Span) -> bool:
    if first.scope == second.scope or not _may_be_one(first, second):
        return False
    outer, inner = sorted((first, second), key=by_time)
    overhang = min(_MAX_OVERHANG, (inner.end - inner.start) // _OVERHANG_SHARE)
    if outer.end < inner.start:
        return False
    return inner.end <= outer.end + overhang or inner.start <= outer.start + overhang


def _models(span: Span) -> set[str]:
    return {span.request_model, span.response_model} - {""}


def _may_be_one(first: Span, second: Span) -> bool:
    distinct = first.response_id and second.response_id and first.response_id != second.response_id
    return not distinct and not (first.stands and second.stands)


def _join(joined: _Joined, first: Span, second: Span) -> None:
    """Two billed spans are never one call, not by way of a third either."""
    group = joined[first.span_id] | joined[second.span_id]
    if sum(span.stands for span in group.values()) > 1:
        return
    for span_id in group:
        joined[span_id] = group


def _is_call(group: Sequence[Span], enclosing: set[str]) -> bool:
    return any(span.stands or not (span.rolled_up or span.span_id in enclosing) for span in group)


def _call(group: Sequence[Span]) -> Call:
    """Billed reports first, then those that are not rolled up, then the outer before the inner."""
    if len(group) == 1:
        return Call(tuple(group))
    return Call(tuple(sorted(group, key=lambda span: (not span.stands, span.rolled_up, by_time(span)))))


def _most(sides: Iterable[tuple[Message, ...]]) -> tuple[Message, ...]:
    """Of what the reports say the first that says most: a library may know the calls, its client the text only."""
    return max(sides, key=lambda side: sum(len(message.parts) + 2 * len(message.calls) for message in side))
