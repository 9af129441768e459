"""The model calls of a turn, each with the attempts that failed before it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from collector.enrich.conventions.events import Role
from collector.enrich.sessions.events import Event
from collector.enrich.sessions.turns import Turn


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the event that tells of its answer or that it was given up. `told` says more about it."""

    event: Event
    start: int
    attempts: tuple[Event, ...] = ()
    told: tuple[Event, ...] = ()

    @property
    def end(self) -> int:
        return self.event.at

    @property
    def agent(self) -> str:
        return self.event.agent

    @property
    def error(self) -> bool:
        return self.event.role is not Role.CALL

    @property
    def refused(self) -> bool:
        """Whether the model refused to answer, as may be told of an answer that is billed."""
        return any(event.role is Role.REFUSAL for event in (self.event, *self.told))


def calls(turn: Turn) -> list[Call]:
    """The calls in order of time. Failed attempts that no answer follows are one call that was given up."""
    found: list[Call] = []
    failed: dict[str, list[Event]] = defaultdict(list)
    answered: dict[str, Event] = {}
    asked: dict[str, Event] = {}
    told = _told(turn)
    ids = {event.call_id for event in turn.of(Role.CALL)}
    for event in turn.of(Role.CALL, Role.ERROR, Role.REFUSAL, Role.ATTEMPT, Role.REQUEST):
        if event.role is Role.REQUEST:
            asked[event.asked_by] = event
        elif event.role in (Role.ATTEMPT, Role.REFUSAL) and event.failed:
            failed[event.agent].append(event)
        elif event.role is Role.REFUSAL and event.call_id in ids:
            continue  # told of the answer
        elif event.role is Role.ATTEMPT:
            answered[event.agent] = event
        else:
            begun = answered.pop(event.agent, None)
            start = min(event.begin, begun.begin) if begun else event.begin
            request = asked.pop(event.asked_by, None)
            more = (*([request] if request else ()), *told.get(event.call_id, ()))
            found.append(Call(event, start, tuple(failed.pop(event.agent, ())), more))
    left = (Call(attempts[-1], attempts[0].begin, tuple(attempts[:-1])) for attempts in failed.values())
    return sorted(_each_once([*found, *left]), key=lambda call: call.event.order)


def _told(turn: Turn) -> dict[str, tuple[Event, ...]]:
    told: dict[str, list[Event]] = defaultdict(list)
    for event in turn.of(Role.ANSWER, Role.REFUSAL):
        if event.call_id and not (event.role is Role.REFUSAL and event.failed):
            told[event.call_id].append(event)
    return {call: tuple(events) for call, events in told.items()}


def _each_once(found: Sequence[Call]) -> list[Call]:
    """Of calls with one id the answered one, else the last."""
    best: dict[str, Call] = {}
    for call in sorted(found, key=lambda call: (not call.error, call.event.order)):
        best[call.event.call_id or f"record {call.event.key}"] = call
    return list(best.values())
