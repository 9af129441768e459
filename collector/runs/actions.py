"""What runs between model calls, each thing once however many spans tell of it.

A framework, an instrumentation of it, an MCP client and an MCP server may each record one run of a tool.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from collector.model.facts import Kind
from collector.model.sessions import DERIVED_SCOPE
from collector.runs.messages import ToolCall
from collector.runs.names import agree, tail
from collector.runs.span import Span, by_time
from collector.runs.toolspans import arguments, call_id, failed, is_execution, result, same_arguments
from collector.runs.tree import OWNERS, Tree

# Clocks of one process that are read a little apart, or are rounded to milliseconds.
_OVERHANG_NS = 2_000_000
# Of runs at the same time, how many a span is compared with.
_MAX_OPEN = 16
# What may tell of the run of the tool it is inside of.
_PARTS = OWNERS | {Kind.INTERNAL.value}


@dataclass(frozen=True, slots=True)
class Action:
    """What a call caused: a tool run, a sub-agent, or a model call that converses with nobody (an embedding).

    `spans` are all that tell of it, the outermost first. `asked` is the request in the model's answer, None when it is
    not known; each of several attempts has the same one. `arguments` are as the outermost span tells, else those of
    the request, else as a span further in tells; `result` is as the outermost span tells that tells one.
    """

    spans: tuple[Span, ...]
    error: bool = False
    asked: ToolCall | None = None

    @property
    def span(self) -> Span:
        return self.spans[0]

    @property
    def name(self) -> str:
        if self.span.kind == Kind.AGENT:
            return self.span.agent_name or self.span.name
        return self.tool_name or self.span.name

    @property
    def tool_name(self) -> str:
        """As the outermost span names it that names it; empty where none does."""
        return self.span.tool_name or next((span.tool_name for span in self.spans if span.tool_name), "")

    @property
    def arguments(self) -> str:
        asked = self.asked.arguments if self.asked else ""
        return arguments(self.span) or asked or next(filter(None, map(arguments, self.spans[1:])), "")

    @property
    def result(self) -> str:
        return result(self.span) or next(filter(None, map(result, self.spans[1:])), "")


def actions(spans: Iterable[Span], tree: Tree, asks: Callable[[str, Span], bool]) -> list[Action]:
    """Everything in the run that may be an action, in order of time (start, then outer before inner).

    `asks` tells whether a model call inside an agent or tool, by its span's id, asks for a tool of the span's name.
    """
    spans = tuple(spans)
    above = _nested(spans, tree, asks)
    acting = [span for span in spans if _may_act(span) or span.span_id in above]
    _join_siblings([span for span in acting if span.kind == Kind.TOOL and span.span_id not in above], above)
    within: dict[str, list[Span]] = defaultdict(list)
    for span in sorted((span for span in acting if span.span_id in above), key=by_time):
        within[above[span.span_id]].append(span)
    outermost = [span for span in acting if span.span_id not in above]
    outermost.sort(key=lambda span: (span.start, tree.depth(span.span_id), span.span_id))
    return [_action(span, within) for span in outermost]


def _may_act(span: Span) -> bool:
    if span.kind == Kind.LLM:
        return not span.converses and not span.rolled_up
    return span.kind in OWNERS


def _nested(spans: Sequence[Span], tree: Tree, asks: Callable[[str, Span], bool]) -> dict[str, str]:
    """The spans that are one run with the tool span they are inside of, and the id of that span.

    A tool that a model asked for inside the outer one is a run of its own, whatever its name.
    """
    above: dict[str, str] = {}
    for span in spans:
        owner = tree.spans.get(tree.owner(span.span_id)) if span.kind in _PARTS else None
        if owner and owner.kind == Kind.TOOL and _is_one_run(owner, span) and not asks(owner.span_id, span):
            above[span.span_id] = owner.span_id
    return above


def _is_one_run(outer: Span, inner: Span) -> bool:
    """Whether both are of one name or one call id; different call ids make two runs, such as a tool in itself.

    An internal span with either is the tool at work, as the function behind a tool is; one that says that it is
    (Claude Code's `tool.execution`) needs neither.
    """
    if inner.kind == Kind.INTERNAL and is_execution(inner):
        return True
    first, second = call_id(outer), call_id(inner)
    if first and second:
        return first == second
    return inner.kind != Kind.AGENT and agree(outer.tool_name, inner.tool_name or inner.name)


def _join_siblings(tools: Sequence[Span], above: dict[str, str]) -> None:
    """Add to `above` the runs that two instrumentations record beside each other, one within the time of the other.

    They have one call id, or where one has none, one parent and equal arguments. Those made of logs need the id alone.
    """
    if len({span.scope for span in tools}) < 2:
        return
    _join_logged(tools, above)
    named: dict[str, list[Span]] = defaultdict(list)
    for span in sorted((span for span in tools if span.span_id not in above), key=by_time):
        alike = named[tail(span.tool_name)]
        alike[:] = [other for other in alike[-_MAX_OPEN:] if other.end + _OVERHANG_NS >= span.start]
        outer = next((other for other in alike if _are_doubles(other, span)), None)
        if outer:
            above[span.span_id] = outer.span_id
        else:
            alike.append(span)


def _join_logged(tools: Sequence[Span], above: dict[str, str]) -> None:
    """Add to `above` the runs made of logs that a span was sent of too: by call id, as the clocks of the two differ."""
    sent: dict[str, list[Span]] = defaultdict(list)
    for span in tools:
        if not span.scope.startswith(DERIVED_SCOPE) and (identity := call_id(span)):
            sent[identity].append(span)
    for span in tools:
        if span.scope.startswith(DERIVED_SCOPE) and (alike := sent.get(call_id(span))):
            above[span.span_id] = min(alike, key=lambda other: abs(other.start - span.start)).span_id


def _are_doubles(outer: Span, inner: Span) -> bool:
    if outer.scope == inner.scope or not (_is_within(inner, outer) or _is_within(outer, inner)):
        return False
    if not agree(outer.tool_name, inner.tool_name):
        return False
    first, second = call_id(outer), call_id(inner)
    if first and second:
        return first == second
    told = arguments(outer)
    return bool(told) and outer.parent_id == inner.parent_id and same_arguments(told, arguments(inner))


def _is_within(inner: Span, outer: Span) -> bool:
    return inner.start >= outer.start - _OVERHANG_NS and inner.end <= outer.end + _OVERHANG_NS


def _action(outermost: Span, within: dict[str, list[Span]]) -> Action:
    """It failed when its span says so, or the attempt inside that ended last; one before that was made good."""
    if outermost.span_id not in within:
        return Action((outermost,), failed(outermost))
    spans = [outermost]
    for span in spans:
        spans.extend(within.get(span.span_id, ()))
    last: Span | None = outermost
    while last is not None and not failed(last):
        last = max(within.get(last.span_id, ()), key=lambda attempt: (attempt.end, -attempt.start), default=None)
    return Action(tuple(spans), last is not None)
