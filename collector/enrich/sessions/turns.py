"""The events of a session, turn by turn: a turn is one prompt and all that was done for it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.enrich.conventions.events import EventRules, Role
from collector.enrich.sessions.events import Event


@dataclass(frozen=True, slots=True)
class Turn:
    """`key` tells it from the others of its session; empty for what came before any known prompt. `events` by time."""

    key: str
    events: Sequence[Event]

    @property
    def rules(self) -> EventRules:
        return self.events[0].rules

    @property
    def prompt(self) -> Event | None:
        return next((event for event in self.events if event.role is Role.PROMPT), None)

    @property
    def received(self) -> int:
        return max(event.received for event in self.events)

    def of(self, *roles: Role) -> list[Event]:
        """The events of these roles."""
        return [event for event in self.events if event.role in roles]


def turns(events: Iterable[Event]) -> list[Turn]:
    """The turns of all sessions among `events`, whatever their order."""
    sessions: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
    for event in events:
        sessions[event.project, event.family, event.session].append(event)
    return [turn for session in sorted(sessions) for turn in _of_session(sorted(sessions[session], key=_order))]


def _order(event: Event) -> tuple[int, int]:
    return event.order


def _of_session(events: Sequence[Event]) -> list[Turn]:
    begins = [event.at for event in events if event.role is Role.PROMPT]
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[_key(event, begins)].append(event)
    return [Turn(key, found[key]) for key in sorted(found)]


def _key(event: Event, begins: Sequence[int]) -> str:
    """The prompt that the event names where every event does, else when the last one before it was given."""
    if event.rules.prompt_ids and event.prompt:
        return event.prompt
    place = bisect_right(begins, event.at)
    return str(begins[place - 1]) if place else ""
