"""From changed sums to events in the outbox, each once.

The outbox is also the record of what has been told: an event that it has is not told again. It holds an event before
the spool forgets the spans that led to it, so a crash between the two decides again, and decides the same.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from collector.budgets.events import State, events, lines_reached, reset
from collector.budgets.ledger import Changes, Ledger, Posted
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule, Rules
from collector.model.budgets import BudgetEvent, EventType, Scope
from collector.model.clock import Clock

log = structlog.get_logger("spanmeter.budgets")

_REMEMBERED_IDS = 200_000
_RESETS_NS = 35 * 86_400 * 1_000_000_000
# What the store knows of a state is asked for so many of them a decision, and for so long: each costs a query, for
# which the drain and every other event wait.
_DESCRIBED = 20
_DESCRIBING_SECONDS = 0.25
_LINES = (EventType.THRESHOLD_REACHED, EventType.BREACHED)


class Outbox(Protocol):
    """Where events wait to be sent, and what was told is on record."""

    def record(self, events: Sequence[BudgetEvent]) -> Sequence[BudgetEvent]:
        """Make events durable; those that were new."""

    def has(self, event_id: str) -> bool:
        """Whether an event is on record."""

    def fired_since(self, budget: str, period_start: int) -> Iterable[BudgetEvent]:
        """The events on record of a budget's periods that began at `period_start` or later."""


class Alerting:
    """Decides what to tell. `told` is called by whoever writes the ledger, `tick` when time may have passed a line."""

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        outbox: Outbox,
        clock: Clock,
        describe: Callable[[State], dict[str, Any]],
        wake: Callable[[], None],
    ) -> None:
        """`describe` adds what only the store knows to an event's data; `wake` tells the sender of new events."""
        self._rules = rules
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._describe = describe
        self._wake = wake
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        # The lines of rolling windows that spend is over: told, and to be told again only after it was under them.
        self._over: set[tuple[str, Scope, EventType, str]] = set()
        self._periods: dict[str, Period] = {}
        self._describing = 0
        self._describe_until = 0.0

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on, and decide anew what they say of the sums as they are."""
        with self._lock:
            self._rules = rules
            self._over = {key for key in self._over if rules.find(key[0])}
        self.decide_all()

    def told(self, changes: Changes) -> None:
        """Decide what the changed sums lead to. The events are durable when this returns."""
        with self._lock:
            now = self._clock.time_ns()  # only now: nothing may be decided at a time before a reset that was told
            self._describing = _DESCRIBED
            self._describe_until = self._clock.monotonic() + _DESCRIBING_SECONDS
            decided = [event for state, posted in self._states(changes, now) for event in self._new(state, posted)]
            self._record(decided)

    def decide_all(self) -> None:
        """Decide on every sum of the current and the preceding period: at the start, and for new rules."""
        with self._lock:
            now = self._clock.time_ns()
            decided: list[BudgetEvent] = []
            self._describing = _DESCRIBED
            self._describe_until = self._clock.monotonic() + _DESCRIBING_SECONDS
            for rule in self._rules.rules:
                for period in _periods(rule, now):
                    for scope, spent in self._ledger.scopes(rule, period).items():
                        decided += self._new(State(rule, scope, period, spent, now), None)
            self._record(decided)
        self.tick()

    def tick(self) -> None:
        """Tell of periods that have ended, and arm the lines that rolling windows have fallen under."""
        with self._lock:
            now = self._clock.time_ns()
            for rule in self._rules.rules:
                if isinstance(rule.schedule, Rolling):
                    self._arm(rule, rule.schedule, now)
                elif self._periods.get(rule.name) != (current := rule.schedule.at(now)):
                    self._record(list(self._resets(rule, rule.schedule, now)))
                    self._periods[rule.name] = current

    # -- deciding -------------------------------------------------------------------------------------------------

    def _states(self, changes: Changes, now: int) -> Iterator[tuple[State, Posted]]:
        windows: dict[tuple[Rule, Scope], Posted] = {}
        for (name, scope, start), posted in changes.posted.items():
            rule = self._rules.find(name)
            if rule is None:
                continue
            if isinstance(rule.schedule, Rolling):
                windows[rule, scope] = posted
                continue
            period = rule.schedule.at(start)
            yield State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now), posted
        for (rule, scope), posted in windows.items():
            assert isinstance(rule.schedule, Rolling)
            window = rule.schedule.window(now)
            yield State(rule, scope, window, self._ledger.spend_in(rule, scope, window), now), posted

    def _new(self, state: State, posted: Posted | None) -> Iterator[BudgetEvent]:
        """The events of a state that were not told before, with what the store knows of it."""
        if isinstance(state.rule.schedule, Rolling):
            found = self._crossed(state, state.rule.schedule, posted)
        else:
            found = [event for event in events(state, posted) if not self._is_known(event.id)]
        if found and self._describing and self._clock.monotonic() < self._describe_until:
            self._describing -= 1
            more = self._describe(state)
            found = [replace(event, data={**event.data, **more}) for event in found]
        yield from found

    def _crossed(self, state: State, schedule: Rolling, posted: Posted | None) -> list[BudgetEvent]:
        """The lines of a window that spend has crossed since it was last under them.

        The period of such an event is the step in which it was decided.
        """
        step = schedule.bucket(state.now)
        told = events(state, posted, Period(step, step + schedule.step_ns))
        return [event for event in told if self._first(event, schedule)]

    def _first(self, event: BudgetEvent, schedule: Rolling) -> bool:
        """Whether spend was under this line before; from now on it is over it."""
        line = event.scope, event.type, event.threshold
        key = (event.budget, *line)
        if key in self._over:
            return False
        self._over.add(key)
        recorded = self._outbox.fired_since(event.budget, event.period_start - schedule.length_ns)
        return line not in {(other.scope, other.type, other.threshold) for other in recorded}

    def _arm(self, rule: Rule, schedule: Rolling, now: int) -> None:
        window = schedule.window(now)
        for key in [key for key in self._over if key[0] == rule.name]:
            state = State(rule, key[1], window, self._ledger.spend_in(rule, key[1], window), now)
            unpriced = key[2] is EventType.UNPRICED and state.spent.unpriced > 0
            if not unpriced and (key[2], key[3]) not in set(lines_reached(state)):
                self._over.discard(key)

    def _resets(self, rule: Rule, schedule: Calendar, now: int) -> Iterator[BudgetEvent]:
        """For each period that has ended with a line crossed: that the next one has begun."""
        told = self._outbox.fired_since(rule.name, schedule.before(schedule.at(now)).start - _RESETS_NS)
        over = {
            (event.period_start, event.period_end, event.scope)
            for event in told
            if event.type in _LINES and event.created_ns < event.period_end <= now
        }
        for start, end, scope in sorted(over):
            period = schedule.at(end)
            state = State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now)
            event = reset(state, Period(start, end))
            if not self._is_known(event.id):
                yield event

    # -- the record -----------------------------------------------------------------------------------------------

    def _is_known(self, event_id: str) -> bool:
        if event_id in self._known:
            return True
        if not self._outbox.has(event_id):
            return False
        self._note(event_id)
        return True

    def _note(self, event_id: str) -> None:
        self._known[event_id] = None
        if len(self._known) > _REMEMBERED_IDS:
            self._known.popitem(last=False)

    def _record(self, decided: Sequence[BudgetEvent]) -> None:
        if not decided:
            return
        new = self._outbox.record(decided)
        for event in decided:
            self._note(event.id)
        for event in new:
            log.info("A budget has something to tell.", what=event.type.value, budget=event.budget, id=event.id)
        if new:
            self._wake()


def _periods(rule: Rule, now: int) -> tuple[Period, ...]:
    if isinstance(rule.schedule, Rolling):
        return (rule.schedule.window(now),)
    current = rule.schedule.at(now)
    return rule.schedule.before(current), current
