"""From changed sums to events in the outbox, each once.

The outbox is also the record of what has been told: an event that it has is not told again. It holds an event before
the spool forgets the spans that led to it, so a crash between the two decides again, and decides the same.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote

from collector.budgets.events import State, events, reset
from collector.budgets.ledger import HORIZON_NS, Changes, Ledger, Posted
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule, Rules
from collector.model.budgets import BudgetEvent, Scope
from collector.model.clock import Clock
from collector.spending.alerting.contributors import Known, with_top
from collector.spending.alerting.forecasts import Forecasts
from collector.spending.alerting.history import History, Outbox
from collector.spending.alerting.rolling import Earlier, Findings, Touched, Windows


class Alerting:
    """Decides on events. `evaluate` is called by whoever writes the ledger, `tick` when time may have passed a line."""

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        outbox: Outbox,
        clock: Clock,
        recorded: Callable[[], None],
        link: str,
        earlier: Earlier,
        known: Known,
    ) -> None:
        """`recorded` is called when the outbox has new events; they say that `link` is where the web port is.

        `earlier` is asked, not upon changes, what was spent before the steps that the ledger keeps. `known`
        says who spent most, where that takes no time.
        """
        self._known = known
        self._rules = rules
        self._ledger = ledger
        self._clock = clock
        self._link = link
        self._lock = threading.Lock()
        self._history = History(outbox, recorded)
        self._windows = Windows(ledger, self._history.notified, earlier)
        self._forecasts = Forecasts(ledger)
        self._periods: dict[str, Period] = {}

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on, and decide anew what they say of the sums as they are."""
        with self._lock:
            self._rules = rules
        self.decide_all(ended=False)

    def evaluate(self, changes: Changes) -> None:
        """Decide what the changed sums lead to. The events are durable when this returns."""
        with self._lock:
            now = self._clock.time_ns()  # only now: nothing may be decided at a time before a reset that was told
            findings = Findings()
            for state, posted in self._states(changes, now):
                findings.events += self._new(state, posted)
            for rule, changed in self._touched(changes, now).items():
                assert isinstance(rule.schedule, Rolling)
                self._windows.touched(rule, rule.schedule, changed, now, findings)
            self._write(findings)

    def decide_all(self, *, ended: bool = True) -> None:
        """Decide on every sum of the current periods; `ended`: also of those before, while late spans count there."""
        with self._lock:
            now = self._clock.time_ns()
            findings = Findings()
            for rule in self._rules.rules:
                if isinstance(rule.schedule, Rolling):
                    self._windows.all(rule, rule.schedule, now, findings, ended=ended)
                    continue
                for period in _periods(rule.schedule, now, ended=ended):
                    for scope, spent in self._ledger.scopes(rule, period).items():
                        findings.events += self._new(State(rule, scope, period, spent, now), None)
            self._write(findings)
        self.tick()

    def tick(self) -> None:
        """Tell what time alone has led to, a bounded part of it at a time.

        Of periods: that they have ended, and forecasts from a tenth of them on. Of windows: what calls that were
        dated ahead have come to; and lines are armed again.
        """
        with self._lock:
            now = self._clock.time_ns()
            # Not while `evaluate` looks at windows: of one that the ledger has left every step has to be added up.
            self._ledger.advance(now)
            findings = Findings()
            for rule in self._rules.rules:
                if isinstance(rule.schedule, Rolling):
                    self._windows.passed(rule, rule.schedule, now, findings)
                else:
                    self._forecasts.due(rule, rule.schedule, now)
                    self._reset(rule, rule.schedule, now)
            for state in self._forecasts.some(now):
                findings.events += self._new(state, None)
            self._windows.visit(self._rules, now, findings)
            self._write(findings)

    # -- calendar periods -----------------------------------------------------------------------------------------

    def _states(self, changes: Changes, now: int) -> Iterator[tuple[State, Posted]]:
        states: dict[tuple[Rule, Scope, Period], Posted] = {}
        for (name, scope, start), posted in changes.posted.items():
            rule = self._rules.find(name)
            if rule and isinstance(rule.schedule, Calendar):
                period = rule.schedule.at(start)
                states[rule, self._ledger.known_as(rule, scope, period), period] = posted
        for (rule, scope, period), posted in states.items():
            yield State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now), posted

    def _new(self, state: State, posted: Posted | None) -> list[BudgetEvent]:
        """The events of a state that were not told before."""
        return [event for event in events(state, posted) if not self._history.has(event.id)]

    def _reset(self, rule: Rule, schedule: Calendar, now: int) -> None:
        current = schedule.at(now)
        if self._periods.get(rule.name) != current:
            self._write(Findings(list(self._resets(rule, schedule, now))))
            self._periods[rule.name] = current

    def _resets(self, rule: Rule, schedule: Calendar, now: int) -> Iterator[BudgetEvent]:
        """For each period that has ended with a line crossed: that the next one has begun."""
        since = schedule.before(schedule.at(now)).start - HORIZON_NS
        for start, end, scope in sorted(self._history.crossed_since(rule.name, since)):
            if end > now:
                continue
            period = schedule.at(end)
            state = State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now)
            event = reset(state, Period(start, end))
            if not self._history.has(event.id):
                yield event

    # -- rolling windows ------------------------------------------------------------------------------------------

    def _touched(self, changes: Changes, now: int) -> dict[Rule, dict[Scope, Touched]]:
        """What was posted to the steps of windows, by scope."""
        findings: dict[Rule, dict[Scope, Touched]] = {}
        for (name, scope, start), posted in changes.posted.items():
            rule = self._rules.find(name)
            if rule and isinstance(rule.schedule, Rolling):
                known = self._ledger.known_as(rule, scope, rule.schedule.window(now))
                of_rule, grown = findings.setdefault(rule, {}), _has_grown(posted)
                if before := of_rule.get(known):
                    of_rule[known] = Touched(min(before.first, start), posted, before.grown and grown)
                else:
                    of_rule[known] = Touched(start, posted, grown)
        return findings

    def _write(self, findings: Findings) -> None:
        events = with_top(self._rules, [self._completed(event) for event in findings.events], self._known)
        self._history.write(events, findings.notified)

    def _completed(self, event: BudgetEvent) -> BudgetEvent:
        """With where to look; and with nobody as those who spent most, as long as nobody has been asked."""
        data = {**event.data, "url": f"{self._link}/api/v1/budgets/{quote(event.budget, safe='')}"}
        return replace(event, data=data if event.has_contributors else {**data, "top": None})


def _has_grown(posted: Posted) -> bool:
    before, after = posted.before, posted.after
    return after.calls > before.calls and after.pico >= before.pico and after.tokens >= before.tokens


def _periods(schedule: Calendar, now: int, *, ended: bool) -> tuple[Period, ...]:
    """The current period, and the one before while late spans still count in it."""
    current = schedule.at(now)
    before = schedule.before(current)
    return (before, current) if ended and before.end >= now - HORIZON_NS else (current,)
