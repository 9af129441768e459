"""Which turns of a conversation stand behind one line until it is opened: those that say nothing by themselves."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Final

from collector.model.facts import Kind
from collector.runs.conversation import Turn
from collector.runs.span import Span
from collector.web.pages import formats

_FIRST: Final = 3  # rounds that are always shown
_MAX_NAMES: Final = 5


def folded(turns: Sequence[Turn], tops: Collection[str]) -> Iterator[tuple[bool, Sequence[Turn]]]:
    """Turns that follow each other, and whether they are folded together. `tops` are the ids of spans without a parent.

    Of the run's own agent rounds fold that only called tools, of which none failed; its first, its last and its
    dearest do not, nor does one alone. What agents inside it did folds, unless something failed.
    """
    own = [turn for turn in turns if turn.round.call and not _inside(turn, tops)]
    kept = {turn.round.number for turn in (*own[:_FIRST], *own[-1:], *_dearest(own))}

    def key(turn: Turn) -> tuple[bool, str]:
        if turn.round.call is None or _failed(turn):
            return False, ""
        if _inside(turn, tops):
            return bool(own), turn.round.owner
        return turn.round.number not in kept and _only_calls(turn), ""

    for (folds, owner), together in groupby(turns, key):
        group = list(together)
        yield folds and (bool(owner) or len(group) > 1), group


def about(turns: Sequence[Turn]) -> dict[str, str]:
    """What a fold hides: which rounds, what they called, for how much, and how long."""
    names = Counter(action.name for turn in turns for action in turn.actions)
    names.update(call.name for turn in turns for call, _ in turn.unanswered)
    told = [f"{name} × {number}" if number > 1 else name for name, number in names.items()]
    calls = formats.plural(sum(names.values()), "tool call")
    costs = [turn.round.cost for turn in turns if turn.round.cost is not None]
    spans = [span for turn in turns for span in _spans(turn)]
    return {
        "rounds": _rounds([turn.round.number for turn in turns]),
        "calls": f"{calls}: {', '.join(told[:_MAX_NAMES])}{', …' if len(told) > _MAX_NAMES else ''}" if told else "",
        "cost": formats.money(sum(costs, Decimal(0))) if costs else "",
        "duration": formats.duration(max(span.end for span in spans) - min(span.start for span in spans)),
    }


def _rounds(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"round {numbers[0]}"
    return f"rounds {numbers[0]} {'and' if len(numbers) == 2 else 'to'} {numbers[-1]}"


def _inside(turn: Turn, tops: Collection[str]) -> bool:
    """Whether it is of an agent or tool inside the run's own."""
    return bool(turn.round.owner) and turn.round.owner not in tops


def _dearest(turns: Sequence[Turn]) -> Sequence[Turn]:
    priced = [turn for turn in turns if turn.round.cost]
    return [max(priced, key=lambda turn: turn.round.cost or 0)] if priced else []


def _failed(turn: Turn) -> bool:
    return any(span.error for span in _spans(turn)) or any(action.error for action in turn.actions)


def _only_calls(turn: Turn) -> bool:
    """Whether nobody said anything in it, and no agent was called."""
    says = bool(turn.fresh) or any(message.text.strip() for message in turn.answer)
    agents = any(action.span.kind == Kind.AGENT for action in turn.actions)
    return not says and not agents and bool(turn.actions or turn.unanswered)


def _spans(turn: Turn) -> list[Span]:
    called = [turn.round.call.span] if turn.round.call else []
    return [*called, *(action.span for action in turn.actions)]
