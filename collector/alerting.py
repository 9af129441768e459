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
from collector.budgets.ledger import HORIZON_NS, Changes, Ledger, Posted
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule, Rules
from collector.model.budgets import BudgetEvent, EventType, Line, Scope
from collector.model.clock import Clock

log = structlog.get_logger("spanmeter.budgets")

_REMEMBERED_IDS = 200_000
# What the store knows of a state is asked for so many of them a decision, and for so long: each costs a query, for
# which the drain and every other event wait.
_DESCRIBED = 20
_DESCRIBING_SECONDS = 0.25


class Outbox(Protocol):
    """Where events wait to be sent, and what was told is on record."""

    def record(self, events: Sequence[BudgetEvent], over: Iterable[Line] = ()) -> Sequence[BudgetEvent]:
        """Make events durable, and the lines that spend is over; the events that were new."""

    def has(self, event_id: str) -> bool:
        """Whether an event is on record."""

    def over(self) -> set[Line]:
        """The lines of rolling windows that spend is over, as last recorded."""

    def fallen(self, lines: Iterable[Line]) -> None:
        """Spend is under these lines again."""

    def crossed_since(self, budget: str, period_start: int) -> set[tuple[int, int, Scope]]:
        """The periods that began then or later in which a line was crossed before their end; and the scopes."""


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
        self._over = outbox.over()
        self._periods: dict[str, Period] = {}
        self._describing = 0
        self._describe_until = 0.0

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on, and decide anew what they say of the sums as they are."""
        with self._lock:
            self._rules = rules
        self.decide_all(_current)

    def told(self, changes: Changes) -> None:
        """Decide what the changed sums lead to. The events are durable when this returns."""
        with self._lock:
            now = self._clock.time_ns()  # only now: nothing may be decided at a time before a reset that was told
            self._describing = _DESCRIBED
            self._describe_until = self._clock.monotonic() + _DESCRIBING_SECONDS
            decided = [event for state, posted in self._states(changes, now) for event in self._new(state, posted)]
            self._record(decided)

    def decide_all(self, periods: "Callable[[Rule, int], tuple[Period, ...]] | None" = None) -> None:
        """Decide on every sum of some periods, by default the current one and the one before."""
        with self._lock:
            now = self._clock.time_ns()
            decided: list[BudgetEvent] = []
            self._describing = _DESCRIBED
            self._describe_until = self._clock.monotonic() + _DESCRIBING_SECONDS
            for rule in self._rules.rules:
                for period in (periods or _recent)(rule, now):
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
        states: dict[tuple[Rule, Scope, Period], Posted] = {}
        for (name, scope, start), posted in changes.posted.items():
            rule = self._rules.find(name)
            if rule:
                schedule = rule.schedule
                period = schedule.window(now) if isinstance(schedule, Rolling) else schedule.at(start)
                states[rule, self._ledger.known_as(rule, scope, period), period] = posted
        for (rule, scope, period), posted in states.items():
            yield State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now), posted

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
        return [event for event in told if _line(event) not in self._over]

    def _arm(self, rule: Rule, schedule: Rolling, now: int) -> None:
        window = schedule.window(now)
        fallen = []
        for line in [line for line in self._over if line.budget == rule.name]:
            state = State(rule, line.scope, window, self._ledger.spend_in(rule, line.scope, window), now)
            unpriced = line.type is EventType.UNPRICED and state.spent.unpriced > 0
            if not unpriced and (line.type, line.threshold) not in set(lines_reached(state)):
                fallen.append(line)
        if fallen:
            self._outbox.fallen(fallen)
            self._over.difference_update(fallen)

    def _resets(self, rule: Rule, schedule: Calendar, now: int) -> Iterator[BudgetEvent]:
        """For each period that has ended with a line crossed: that the next one has begun."""
        since = schedule.before(schedule.at(now)).start - HORIZON_NS
        for start, end, scope in sorted(self._outbox.crossed_since(rule.name, since)):
            if end > now:
                continue
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

    def _is_rolling(self, event: BudgetEvent) -> bool:
        rule = self._rules.find(event.budget)
        return rule is not None and isinstance(rule.schedule, Rolling)

    def _note(self, event_id: str) -> None:
        self._known[event_id] = None
        if len(self._known) > _REMEMBERED_IDS:
            self._known.popitem(last=False)

    def _record(self, decided: Sequence[BudgetEvent]) -> None:
        if not decided:
            return
        over = {_line(event) for event in decided if self._is_rolling(event)}
        new = self._outbox.record(decided, over)
        self._over |= over
        for event in decided:
            self._note(event.id)
        for event in new:
            log.info("A budget has something to tell.", what=event.type.value, budget=event.budget, id=event.id)
        if new:
            self._wake()


def _line(event: BudgetEvent) -> Line:
    return Line(event.budget, event.scope, event.type, event.threshold)


def _current(rule: Rule, now: int) -> tuple[Period, ...]:
    if isinstance(rule.schedule, Rolling):
        return (rule.schedule.window(now),)
    return (rule.schedule.at(now),)


def _recent(rule: Rule, now: int) -> tuple[Period, ...]:
    """The current period, and the one before while late spans still count in it."""
    current = _current(rule, now)
    if isinstance(rule.schedule, Rolling):
        return current
    before = rule.schedule.before(current[0])
    return (before, *current) if before.end >= now - HORIZON_NS else current
