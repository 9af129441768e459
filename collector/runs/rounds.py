"""Rounds of a run: each model call with what it caused."""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

from collector.model.facts import Kind
from collector.runs.calls import Call, calls
from collector.runs.document import document
from collector.runs.messages import Messages, ToolCall
from collector.runs.span import Span
from collector.runs.toolspans import arguments, call_id, result
from collector.runs.tree import Tree

_OWNERS = frozenset({Kind.AGENT.value, Kind.TOOL.value})
_start = attrgetter("start")
_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Action:
    """What a call caused: a tool run, a sub-agent, or a model call that converses with nobody (an embedding).

    `asked` is the request in the model's answer, None when it is not known. `arguments` and `result` are as the
    action's own span tells; where it does not tell the arguments, they are those of the request.
    """

    span: Span
    asked: ToolCall | None = None

    @property
    def name(self) -> str:
        named = self.span.agent_name if self.span.kind == Kind.AGENT else self.span.tool_name
        return named or self.span.name

    @property
    def arguments(self) -> str:
        return arguments(self.span) or (self.asked.arguments if self.asked else "")

    @property
    def result(self) -> str:
        return result(self.span)


@dataclass(frozen=True, slots=True)
class Round:
    """`number` counts a run's calls from 1 in order of time; round 0 has no call, only actions before any.

    `owner` is the id of the agent or tool span the call was made in, empty at the top of the run. Tokens and cost are
    those of the call alone. `answered_model` is empty when no span tells which model answered.
    """

    number: int
    call: Call | None = None
    owner: str = ""
    actions: tuple[Action, ...] = ()

    @property
    def messages(self) -> Messages:
        return self.call.messages if self.call else Messages()

    @property
    def requests(self) -> tuple[ToolCall, ...]:
        """The tools the answer asks for."""
        return self.call.requests if self.call else ()

    @property
    def finish_reason(self) -> str:
        if self.call is None:
            return ""
        if reason := self.call.text("finish_reason"):
            return reason
        return next((message.finish_reason for message in self.call.output if message.finish_reason), "")

    @property
    def requested_model(self) -> str:
        return self.call.text("request_model") if self.call else ""

    @property
    def answered_model(self) -> str:
        return self.call.text("response_model") if self.call else ""

    @property
    def input_tokens(self) -> int:
        return self.call.span.input_tokens if self.call else 0

    @property
    def output_tokens(self) -> int:
        return self.call.span.output_tokens if self.call else 0

    @property
    def cost(self) -> Decimal | None:
        """USD; None when the call is not priced, and in round 0."""
        return self.call.span.cost if self.call else None


def rounds(spans: Iterable[Span]) -> list[Round]:
    """The rounds of a run, round 0 first when there is one.

    A round is one conversing model call, however many spans tell of it (see `calls`), and the actions it caused.
    Actions are tool spans, agent spans inside the run's agents, and model calls without a conversation. An action is
    looked at with the calls of its owner, the nearest agent or tool span above; it belongs to the first that is found:

    1. the call it runs inside of;
    2. the latest call, of any owner, that started before it and whose answer has its tool-call id;
    3. of its owner's calls, the latest that started before it and names it in a request no earlier action has taken;
    4. the latest that ended before it started;
    5. the latest that started before it, if its answer is not known or ended with a request that cannot be read.

    Of several requests with one name, that with the action's own arguments is taken, else the first.

    What finds no call: a tool inside a tool is a part of that tool, an agent was started by the program; these are no
    actions. Other actions go to round 0. Every span is an action once at most, and none is both action and call.
    """
    ordered = list(spans)
    tree = Tree(ordered)
    drafts = [_Draft(call, _owner(call.outermost, tree)) for call in calls(ordered, tree)]
    finder = _Finder(drafts, tree)
    unclaimed: list[Action] = []
    for _, span in sorted(tree.walk(), key=lambda item: (item[1].start, item[0], item[1].span_id)):
        if not _may_act(span):
            continue
        draft, asked = finder.find(span)
        if draft:
            draft.actions.append(Action(span, asked))
        elif not _is_part(span, tree):
            unclaimed.append(Action(span))
    found = [
        Round(number, draft.call, draft.owner, tuple(draft.actions)) for number, draft in enumerate(drafts, start=1)
    ]
    return [Round(0, actions=tuple(unclaimed)), *found] if unclaimed else found


@dataclass(slots=True)
class _Draft:
    call: Call
    owner: str
    actions: list[Action] = field(default_factory=list)
    waiting: list[ToolCall] = field(init=False)
    start: int = field(init=False)
    end: int = field(init=False)  # the earliest of its reports: a wrapper may outlast the call

    def __post_init__(self) -> None:
        self.waiting = list(self.call.requests)
        self.start = self.call.outermost.start
        self.end = min(report.end for report in self.call.reports)

    @property
    def may_have_asked(self) -> bool:
        """Whether the answer is missing, or asks for tools and does not tell which."""
        return not self.call.output or (not self.call.requests and "tool" in self.call.text("finish_reason").lower())


class _Finder:
    """Finds the call that caused an action; the actions must come in order of time."""

    def __init__(self, drafts: Sequence[_Draft], tree: Tree) -> None:
        self._tree = tree
        self._by_span = {report.span_id: draft for draft in drafts for report in draft.call.reports}
        # Each list in order of time.
        self._by_owner: dict[str, list[_Draft]] = defaultdict(list)
        self._by_call_id: dict[str, list[tuple[_Draft, ToolCall]]] = defaultdict(list)
        # The calls that still wait for a run of the tool of a name, by owner.
        self._waiting: dict[str, dict[str, list[_Draft]]] = defaultdict(lambda: defaultdict(list))
        for draft in drafts:
            self._by_owner[draft.owner].append(draft)
            for asked in draft.waiting:
                self._by_call_id[asked.id].append((draft, asked))
            for name in {asked.name for asked in draft.waiting}:
                self._waiting[draft.owner][name].append(draft)

    def find(self, span: Span) -> tuple[_Draft | None, ToolCall | None]:
        around = (self._by_span[above.span_id] for above in self._above(span) if above.span_id in self._by_span)
        if draft := next(around, None):
            return self._take(draft, _chosen(span, [asked for asked in draft.waiting if _names(asked.name, span)]))
        if identity := call_id(span):
            for draft, asked in reversed(self._by_call_id.get(identity, ())):
                if draft.start <= span.start:
                    return self._take(draft, asked)
        owner = _owner(span, self._tree)
        waiting = self._waiting.get(owner, {})
        named = [found for name in _names_among(waiting, span) if (found := _latest(waiting[name], span.start))]
        if named:
            draft = max(named, key=lambda found: found.start)
            return self._take(draft, _chosen(span, [asked for asked in draft.waiting if _names(asked.name, span)]))
        drafts = self._by_owner.get(owner, [])
        earlier = range(bisect_right(drafts, span.start, key=_start) - 1, -1, -1)
        ended = (drafts[place] for place in earlier if drafts[place].end <= span.start)
        silent = (drafts[place] for place in earlier if drafts[place].may_have_asked)
        return next(ended, None) or next(silent, None), None

    def _take(self, draft: _Draft, asked: ToolCall | None) -> tuple[_Draft, ToolCall | None]:
        """A request is met once."""
        if asked and asked in draft.waiting:
            draft.waiting.remove(asked)
            if all(other.name != asked.name for other in draft.waiting):
                self._waiting[draft.owner][asked.name].remove(draft)
        return draft, asked

    def _above(self, span: Span) -> Iterable[Span]:
        """What the span runs inside of, up to its owner."""
        for above in self._tree.ancestors(span.span_id):
            if above.kind in _OWNERS:
                return
            yield above


def _latest(drafts: Sequence[_Draft], at: int) -> _Draft | None:
    """Of `drafts` in order of time the latest that started by `at`."""
    position = bisect_right(drafts, at, key=_start)
    return drafts[position - 1] if position else None


def _names_among(names: Mapping[str, object], span: Span) -> list[str]:
    if span.kind == Kind.TOOL:
        return [span.tool_name] if span.tool_name and span.tool_name in names else []
    return [name for name in names if _names(name, span)]


def _names(name: str, span: Span) -> bool:
    """Whether a request's name means the action: the tool's name, or one that ends in the agent's."""
    if span.kind == Kind.TOOL:
        return bool(name) and name == span.tool_name
    agent = _WORDS.sub("_", span.agent_name.lower()).strip("_")
    return span.kind == Kind.AGENT and bool(agent) and _WORDS.sub("_", name.lower()).endswith(agent)


def _chosen(span: Span, alike: Sequence[ToolCall]) -> ToolCall | None:
    """Of requests with one name that with the action's own arguments, else the first."""
    sent = arguments(span) if len(alike) > 1 else ""
    return next((asked for asked in alike if sent and _same(asked.arguments, sent)), alike[0] if alike else None)


def _same(first: str, second: str) -> bool:
    return first == second or ((value := document(first)) is not None and value == document(second))


def _may_act(span: Span) -> bool:
    if span.kind == Kind.LLM:
        return not span.converses and not span.rolled_up
    return span.kind in _OWNERS


def _is_part(span: Span, tree: Tree) -> bool:
    """Whether a span that no call caused is no action."""
    if span.kind == Kind.AGENT:
        return True
    owner = tree.spans.get(_owner(span, tree))
    return owner is not None and owner.kind == Kind.TOOL


def _owner(span: Span, tree: Tree) -> str:
    return next((above.span_id for above in tree.ancestors(span.span_id) if above.kind in _OWNERS), "")
