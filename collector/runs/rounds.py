"""Rounds of a run: each model call with what it caused."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from collector.model.facts import Kind
from collector.runs.actions import Action, actions
from collector.runs.calls import Call, calls
from collector.runs.causes import Cause, Causes
from collector.runs.messages import Messages, ToolCall
from collector.runs.span import Span
from collector.runs.tree import Tree


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
    def answer(self) -> str:
        """The text of the answer, without its reasoning and media."""
        return "\n".join(text for message in self.call.output if (text := message.text)) if self.call else ""

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
    Actions are tool runs, agents inside the run's agents, and model calls without a conversation, each one action
    however many spans tell of it (see `actions`). The request an action answers, and with it the call that caused it,
    is the first of these that is found (`causes`):

    1. the request that has its tool-call id and agrees in its name, in any call. When there is one, clocks are not
       asked. Of several, as of ids that are used again every round, the one with its very name, in the call it runs
       inside of, with its arguments, of its owner, not met yet, the latest that started before it;
    2. a request not met that names it, of the call it runs inside of; without such a request it is that call's anyway;
    3. a request not met that names it, of those of its owner's calls that started before it: the one with its
       arguments, else the first of the latest call. A request with another id than its own is none, if ids of this run
       are those of requests at all;
    4. no request: its owner's latest call that ended before it started; or a later one that still ran and whose answer
       is not known, or asked for tools it does not tell. An attempt after a failed one has the request of that one.

    The owner is the nearest agent or tool span above. What finds no call: a tool inside a tool is a part of that tool,
    an agent was started by the program; these are no actions. Other actions go to round 0. Every span is in one action
    at most, and none is both action and call.
    """
    return recorded(spans)[0]


def recorded(spans: Iterable[Span]) -> tuple[list[Round], list[Action]]:
    """The rounds of a run, and the runs of tools inside tools that are no actions."""
    ordered = list(spans)
    tree = Tree(ordered)
    found = [Cause(call, tree.owner(call.outermost.span_id)) for call in calls(ordered, tree)]
    causes = Causes(found, tree)
    caused: dict[int, list[Action]] = defaultdict(list)
    parts: list[Action] = []
    numbers = {id(cause): number for number, cause in enumerate(found, start=1)}
    for action, cause, asked in causes.match(actions(ordered, tree, causes.asks)):
        if cause:
            caused[numbers[id(cause)]].append(Action(action.spans, action.error, asked) if asked else action)
        elif _is_part(action.span, tree):
            parts.append(action)
        else:
            caused[0].append(action)
    called = [Round(number, cause.call, cause.owner, tuple(caused[number])) for number, cause in enumerate(found, 1)]
    return [Round(0, actions=tuple(caused[0])), *called] if caused[0] else called, parts


def _is_part(span: Span, tree: Tree) -> bool:
    """Whether a span that no call caused is no action."""
    if span.kind == Kind.AGENT:
        return True
    owner = tree.spans.get(tree.owner(span.span_id))
    return owner is not None and owner.kind == Kind.TOOL
