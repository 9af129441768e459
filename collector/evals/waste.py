"""Rounds that were not needed: the same tool with the same arguments and the same result, and what that cost.

Whether a result was of use cannot be told from bytes, and is not asked here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final

from collector.config.checks import Redundancy
from collector.evals.finding import MAX_EVIDENCE, Finding, found, skipped
from collector.evals.subject import Subject, is_unpriced
from collector.evals.values import canonical, plain
from collector.model.evaluations import Evidence, Skip, cite, digest_of
from collector.runs import Action, Round, Run

_MAX_PERIOD: Final = 4
_MIN_TIMES: Final = 3
_CHARACTERS_PER_TOKEN: Final = 4


class Repetition(StrEnum):
    """How an action stands to an earlier one of the same tool and arguments."""

    REPEAT = "repeat"  # the same result again: not needed
    POLLING = "polling"  # another result: reported, not wasted
    RETRY = "retry"  # after one that failed


@dataclass(frozen=True, slots=True)
class Repeated:
    """An action that was done before, in round `round`; `first_span_id` is the earlier one's."""

    span_id: str
    tool: str
    round: int
    how: Repetition
    first_span_id: str


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps of `tools` that came `times` times in a row, from the span `span_id` on."""

    tools: tuple[str, ...]
    times: int
    span_id: str


@dataclass(frozen=True, slots=True)
class Waste:
    """`usd_by_round` is the part of each call's cost that its repeats are of its actions.

    `idle` are rounds all of whose actions are repeats; `carried_tokens` is how many tokens the results of repeats took
    in the calls after them, estimated from their length.
    """

    repeated: Sequence[Repeated] = ()
    loops: Sequence[Loop] = ()
    idle: Sequence[int] = ()
    usd_by_round: dict[int, Decimal] = field(default_factory=dict)
    carried_tokens: int = 0
    known: int = 0

    @property
    def usd(self) -> Decimal:
        return sum(self.usd_by_round.values(), Decimal(0))

    @property
    def repeats(self) -> Sequence[Repeated]:
        return [one for one in self.repeated if one.how is Repetition.REPEAT]


@dataclass(slots=True)
class _Seen:
    action: Action
    results: set[str]
    failed: bool


def waste_of(run: Run) -> Waste:
    """What in a run was done again. Actions of which neither arguments nor result are known are left out."""
    seen: dict[tuple[str, str, str], _Seen] = {}
    repeated: list[Repeated] = []
    steps: list[tuple[tuple[str, str], Action]] = []
    known = 0
    for one in run.rounds:
        for action in one.actions:
            if not action.arguments and not action.result:
                continue
            known += 1
            key = (one.owner, action.name, canonical(action.arguments))
            steps.append((key[1:], action))
            if how := _remember(seen, key, action):
                repeated.append(
                    Repeated(action.span.span_id, action.name, one.number, how, seen[key].action.span.span_id)
                )
    redundant = {one.span_id for one in repeated if one.how is Repetition.REPEAT}
    return Waste(
        repeated=repeated,
        loops=list(_loops(steps)),
        idle=[one.number for one in run.rounds if _is_idle(one, redundant)],
        usd_by_round=dict(_usd(run.rounds, redundant)),
        carried_tokens=_carried(run.rounds, redundant),
        known=known,
    )


def _remember(seen: dict[tuple[str, str, str], _Seen], key: tuple[str, str, str], action: Action) -> Repetition | None:
    result = digest_of(action.result.encode("utf-8", "surrogatepass"))
    before = seen.get(key)
    if before is None:
        seen[key] = _Seen(action, {result}, action.error)
        return None
    how = Repetition.REPEAT if result in before.results else Repetition.POLLING
    if before.failed:
        how = Repetition.RETRY
    before.results.add(result)
    before.failed = action.error
    return how


def _is_idle(one: Round, redundant: set[str]) -> bool:
    return bool(one.actions) and all(action.span.span_id in redundant for action in one.actions)


def _usd(rounds: Sequence[Round], redundant: set[str]) -> Iterator[tuple[int, Decimal]]:
    for one in rounds:
        again = sum(action.span.span_id in redundant for action in one.actions)
        if again and one.cost:
            yield one.number, one.cost * again / len(one.actions)


def _carried(rounds: Sequence[Round], redundant: set[str]) -> int:
    """Each result is sent again in every later call of its owner."""
    calls: dict[str, int] = {}
    tokens = 0
    for one in reversed(rounds):
        later = calls.get(one.owner, 0)
        size = sum(len(action.result) for action in one.actions if action.span.span_id in redundant)
        tokens += later * (size // _CHARACTERS_PER_TOKEN)
        calls[one.owner] = later + (one.call is not None)
    return tokens


def _loops(steps: Sequence[tuple[tuple[str, str], Action]]) -> Iterator[Loop]:
    """Stretches of one to four steps that come three times in a row or more, the shortest period first."""
    at = 0
    while at < len(steps):
        period, times = next(
            (
                (period, times)
                for period in range(1, _MAX_PERIOD + 1)
                if (times := _times(steps, at, period)) >= _MIN_TIMES
            ),
            (1, 1),
        )
        if times >= _MIN_TIMES:
            tools = tuple(key[0] for key, _ in steps[at : at + period])
            yield Loop(tools, times, steps[at][1].span.span_id)
        at += period * times


def _times(steps: Sequence[tuple[tuple[str, str], Action]], at: int, period: int) -> int:
    times = 1
    while at + (times + 1) * period <= len(steps) and all(
        steps[at + offset][0] == steps[at + times * period + offset][0] for offset in range(period)
    ):
        times += 1
    return times


def check_redundancy(check: Redundancy, subject: Subject) -> Finding:
    """Whether a run repeats itself no more than it may."""
    if not subject.run.rounds:
        return skipped(Skip.NO_DATA, "It has no rounds.")
    waste = waste_of(subject.run)
    if not waste.known and any(one.actions for one in subject.run.rounds):
        return skipped(Skip.NO_DATA, "Neither arguments nor results of its tools are known.")
    if reason := _too_much(check, waste):
        return found(False, reason, _cited(waste))
    if check.max_wasted_usd is not None and waste.repeats and any(map(is_unpriced, subject.run.spans)):
        return skipped(Skip.UNPRICED, "It has calls without a price.")
    return found(True, f"{len(waste.repeats)} repeated calls; {plain(waste.usd)} USD wasted.", _cited(waste))


def _too_much(check: Redundancy, waste: Waste) -> str:
    if check.no_loops and waste.loops:
        loop = waste.loops[0]
        return f"A loop: {', '.join(loop.tools)}, {loop.times} times."
    repeats = waste.repeats
    if check.max_repeats is not None and len(repeats) > check.max_repeats:
        first = repeats[check.max_repeats]
        return (
            f"{len(repeats)} repeated calls, more than {check.max_repeats}: {first.tool} again in round {first.round}."
        )
    if check.max_wasted_usd is not None and waste.usd > check.max_wasted_usd:
        return f"{plain(waste.usd)} USD are wasted, more than {plain(check.max_wasted_usd)}."
    return ""


def _cited(waste: Waste) -> list[Evidence]:
    repeats = [cite(one.span_id, "ToolName", one.tool) for one in waste.repeats[:MAX_EVIDENCE]]
    return repeats or [cite(loop.span_id, "ToolName", loop.tools[0]) for loop in waste.loops[:MAX_EVIDENCE]]
