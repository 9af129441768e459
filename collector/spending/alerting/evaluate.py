"""From changed sums to events in the outbox, each once.

The outbox is also the record of what has been sent: an event that it has is not recorded again. It holds an event
before the spool forgets the spans that led to it, so a crash between the two decides again, and decides the same.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from collector.budgets.ledger import Changes, Ledger
from collector.budgets.rules import Rules
from collector.model.budgets import BudgetEvent
from collector.model.clock import Clock
from collector.spending.alerting.calendars import CalendarStrategy
from collector.spending.alerting.contributors import Known, with_top
from collector.spending.alerting.history import History, Outbox
from collector.spending.alerting.rolling import Earlier, RollingStrategy
from collector.spending.alerting.strategy import Findings, Strategy


class Alerting:
    """Decides on events. `evaluate` is called by whoever writes the ledger, `tick` when time may have passed a line."""

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        outbox: Outbox,
        clock: Clock,
        recorded: Callable[[], None],
        link: Callable[[], str],
        earlier: Earlier,
        known: Known,
    ) -> None:
        """`recorded` is called when the outbox has new events; `link`, asked for each, is where the web port is.

        `earlier` is asked, not upon changes, what was spent before the steps that the ledger keeps. `known` has who
        spent most, where that takes no time.
        """
        self._known = known
        self._ledger = ledger
        self._clock = clock
        self._link = link
        self._lock = threading.Lock()
        self._history = History(outbox, recorded)
        self._strategies: tuple[Strategy, ...] = (
            CalendarStrategy(ledger, self._history, self._record),
            RollingStrategy(ledger, self._history.notified, earlier),
        )
        self._switch(rules)

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on, and decide anew on the sums as they are."""
        with self._lock:
            self._switch(rules)
        self.decide_all(ended=False)

    def _switch(self, rules: Rules) -> None:
        self._rules = rules
        for strategy in self._strategies:
            strategy.use(rules)
        self._strategy_of = {name: strategy for strategy in self._strategies for name in strategy.names()}

    def evaluate(self, changes: Changes) -> None:
        """Decide what the changed sums lead to. The events are durable when this returns."""
        with self._lock:
            now = self._clock.time_ns()  # only now: no event may be dated before a reset that is recorded
            findings = Findings()
            for strategy in self._strategies:
                strategy.changed(changes, now, findings)
            self._record(findings)

    def decide_all(self, *, ended: bool = True) -> None:
        """Decide on every sum of the current periods; `ended`: also of those before, while late spans count there."""
        with self._lock:
            now = self._clock.time_ns()
            findings = Findings()
            for rule in self._rules:
                self._strategy_of[rule.name].everything(rule.name, now, findings, ended=ended)
            self._record(findings)
        self.tick()

    def tick(self) -> None:
        """Decide what time alone has led to, a bounded part of it at a time.

        Of periods: that they have ended, and forecasts from a tenth of them on. Of windows: what calls that were
        dated ahead have come to; and lines are armed again.
        """
        with self._lock:
            now = self._clock.time_ns()
            # Not while `evaluate` looks at windows: of one that the ledger has left every step has to be added up.
            self._ledger.advance(now)
            findings = Findings()
            for rule in self._rules:
                self._strategy_of[rule.name].passed(rule.name, now, findings)
            for strategy in self._strategies:
                strategy.sweep(now, findings)
            self._record(findings)

    def _record(self, findings: Findings) -> None:
        events = with_top(self._rules, [self._completed(event) for event in findings.events], self._known)
        self._history.write(events, findings.notified)

    def _completed(self, event: BudgetEvent) -> BudgetEvent:
        """With where to look; and with nobody as those who spent most, as long as nobody has been asked."""
        data = {**event.data, "url": f"{self._link()}/budgets/{quote(event.budget, safe='')}"}
        if run := event.data.get("crossed_by"):
            data["crossed_by"] = {**run, "url": f"{self._link()}/runs/{run['trace_id']}"}
        return replace(event, data=data if event.has_contributors else {**data, "top": None})
