"""The conversation of a run: every message once, in order of sending, each answer with what it caused."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from collector.runs.actions import Action
from collector.runs.document import unquoted
from collector.runs.messages import Message, Messages, ToolCall, ToolResult
from collector.runs.rounds import Round

_TOOLS = frozenset({"tool", "function"})  # roles
_Key = tuple[str, str, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one round adds: the messages that were sent for the first time, the answer, and what became of its calls.

    `repeated` counts the messages that were sent again. `unanswered` are calls that no span tells of, each with the
    result that a later round sent, if any.
    """

    round: Round
    fresh: Sequence[Message]
    repeated: int
    answer: Sequence[Message]
    unanswered: Sequence[tuple[ToolCall, ToolResult | None]]

    @property
    def actions(self) -> Sequence[Action]:
        return self.round.actions


def conversation(rounds: Sequence[Round]) -> list[Turn]:
    """A turn a round. Messages of one owner (agent or tool) are compared with those it has sent before.

    Results of tools whose spans stand with the answer are not messages of their own again, also where they say
    neither which call they answer nor more than the tool did.
    """
    told: set[str] = set()
    known: dict[str, set[_Key]] = defaultdict(set)
    results = {result.id: result for each in rounds for result in _results(each.messages.input) if result.id}
    found = []
    for each in rounds:
        sent, seen = each.messages, known[each.owner]
        new = [message for message in sent.input if _key(message) not in seen and not _only_results(message)]
        fresh = [message for message in new if message.role not in _TOOLS or message.text not in told]
        answered = {action.asked.id for action in each.actions if action.asked}
        open_calls = [call for message in sent.output for call in message.calls if call.id not in answered]
        matched = bool(each.actions) and all(action.asked is None for action in each.actions)
        found.append(
            Turn(
                round=each,
                fresh=fresh,
                repeated=sum(_key(message) in seen for message in sent.input),
                answer=sent.output,
                unanswered=() if matched else [(call, results.get(call.id)) for call in open_calls],
            )
        )
        told.update(unquoted(action.result) for action in each.actions if action.result)
        seen.update(_key(message) for message in (*sent.input, *sent.output))
    return found


def repeated(before: Messages, sent: Sequence[Message]) -> int:
    """How many of the first messages sent are those of the call before, what it answered included."""
    pairs = zip((*before.input, *before.output), sent, strict=False)
    return sum(1 for _ in takewhile(lambda pair: _key(pair[0]) == _key(pair[1]), pairs))


def _results(messages: Iterable[Message]) -> Iterable[ToolResult]:
    return (result for message in messages for result in message.results)


def _only_results(message: Message) -> bool:
    return bool(message.results) and not message.parts and not message.calls


def _key(message: Message) -> _Key:
    return (
        message.role,
        message.text,
        tuple(call.name + call.arguments for call in message.calls),
        tuple(result.id + result.text for result in message.results),
    )
