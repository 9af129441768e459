"""What calendar periods lead to: lines crossed, forecasts, and that the next period has begun."""

from collections.abc import Callable, Iterator

from collector.budgets.events import State, events, reset
from collector.budgets.ledger import Changes, LedgerReader, Posted
from collector.budgets.periods import HORIZON_NS, Calendar, Period
from collector.budgets.rules import Rule, Rules
from collector.model.budgets import BudgetEvent, Scope
from collector.spending.alerting.forecasts import Forecasts
from collector.spending.alerting.history import History
from collector.spending.alerting.strategy import Findings


class CalendarStrategy:
    """The strategy for calendar periods."""

    def __init__(self, ledger: LedgerReader, history: History, record: Callable[[Findings], None]) -> None:
        """`record` makes findings durable at once."""
        self._ledger = ledger
        self._history = history
        self._record = record
        self._forecasts = Forecasts(ledger)
        self._rules = Rules(())
        self._current: dict[str, Period] = {}

    def use(self, rules: Rules) -> None:
        self._rules = rules

    def names(self) -> list[str]:
        return list(self._rules.calendar)

    def changed(self, changes: Changes, now: int, findings: Findings) -> None:
        states: dict[tuple[Rule, Scope, Period], Posted] = {}
        for (name, scope, start), posted in changes.posted.items():
            if name in self._rules.calendar:
                rule, schedule = self._rules.calendar[name]
                period = schedule.at(start)
                states[rule, self._ledger.counted_as(rule, scope, period), period] = posted
        for (rule, scope, period), posted in states.items():
            findings.events += self._new(self._state(rule, scope, period, now), posted)

    def everything(self, name: str, now: int, findings: Findings, *, ended: bool) -> None:
        """`ended`: also of the period before, while late spans count there."""
        rule, schedule = self._rules.calendar[name]
        for period in _periods(schedule, now, ended=ended):
            for scope, spent in self._ledger.scopes(rule, period).items():
                findings.events += self._new(State(rule, scope, period, spent, now), None)

    def passed(self, name: str, now: int, findings: Findings) -> None:  # noqa: ARG002 # a reset is recorded by itself
        """That periods have ended, once for each; forecasts have their turn in `sweep`."""
        rule, schedule = self._rules.calendar[name]
        self._forecasts.enqueue(rule, schedule, now)
        current = schedule.at(now)
        if self._current.get(name) != current:
            self._record(Findings(list(self._resets(rule, schedule, now))))
            self._current[name] = current

    def sweep(self, now: int, findings: Findings) -> None:
        for state in self._forecasts.next(now):
            findings.events += self._new(state, None)

    def _new(self, state: State, posted: Posted | None) -> list[BudgetEvent]:
        """The events of a state that were not recorded before."""
        return [event for event in events(state, posted) if not self._history.has(event.id)]

    def _resets(self, rule: Rule, schedule: Calendar, now: int) -> Iterator[BudgetEvent]:
        """For each period that has ended with a line crossed: that the next one has begun."""
        since = schedule.before(schedule.at(now)).start - HORIZON_NS
        for start, end, scope in sorted(self._history.crossed_since(rule.name, since)):
            if end > now:
                continue
            event = reset(self._state(rule, scope, schedule.at(end), now), Period(start, end))
            if not self._history.has(event.id):
                yield event

    def _state(self, rule: Rule, scope: Scope, period: Period, now: int) -> State:
        return State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now)


def _periods(schedule: Calendar, now: int, *, ended: bool) -> tuple[Period, ...]:
    """The current period, and the one before while late spans still count in it."""
    current = schedule.at(now)
    before = schedule.before(current)
    return (before, current) if ended and before.end >= now - HORIZON_NS else (current,)
