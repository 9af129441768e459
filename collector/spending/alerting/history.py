"""What has been sent or is to be sent: the outbox, and in front of it what is remembered of it."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from collector.model.budgets import BudgetEvent, Line, Scope

log = structlog.get_logger("spanmeter.budgets")

_REMEMBERED_IDS = 200_000


class Outbox(Protocol):
    """Where events wait to be sent, and stay on record."""

    def record(self, events: Sequence[BudgetEvent], notified: Mapping[Line, int | None]) -> Sequence[BudgetEvent]:
        """Make events durable, and for lines of windows which step represents them; the events that were new."""

    def has(self, event_id: str) -> bool:
        """Whether an event is on record."""

    def notified(self) -> dict[Line, int]:
        """For each line of a rolling window the step that was notified last, as last recorded."""

    def crossed_since(self, budget: str, period_start: int) -> set[tuple[int, int, Scope]]:
        """The periods that began then or later in which a line was crossed before their end; and the scopes."""


class History:
    """Not thread-safe. Raises Unavailable when the outbox does."""

    def __init__(self, outbox: Outbox, recorded: Callable[[], None]) -> None:
        """`recorded` is called when the outbox has new events."""
        self._outbox = outbox
        self._recorded = recorded
        self._known: OrderedDict[str, None] = OrderedDict()
        self.notified: dict[Line, int] = outbox.notified()

    def has(self, event_id: str) -> bool:
        if event_id in self._known:
            return True
        if not self._outbox.has(event_id):
            return False
        self._note(event_id)
        return True

    def crossed_since(self, budget: str, period_start: int) -> set[tuple[int, int, Scope]]:
        return self._outbox.crossed_since(budget, period_start)

    def write(self, events: Sequence[BudgetEvent], notified: Mapping[Line, int | None]) -> None:
        """Make events durable, with the steps that represent lines from now on: None for what is forgotten."""
        changed = {line: step for line, step in notified.items() if self.notified.get(line) != step}
        if not events and not changed:
            return
        new = self._outbox.record(events, changed)
        for line, step in changed.items():
            if step is None:
                self.notified.pop(line, None)
            else:
                self.notified[line] = step
        for event in events:
            self._note(event.id)
        for event in new:
            log.info("A budget has something to tell.", what=event.type.value, budget=event.budget, id=event.id)
        if new:
            self._recorded()

    def _note(self, event_id: str) -> None:
        self._known[event_id] = None
        if len(self._known) > _REMEMBERED_IDS:
            self._known.popitem(last=False)
