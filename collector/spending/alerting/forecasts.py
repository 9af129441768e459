"""Forecasts that time alone leads to: from a tenth of a period on, what was spent before may project past the limit."""

from collections import deque

from collector.budgets.events import FORECAST_FROM, State
from collector.budgets.ledger import LedgerReader
from collector.budgets.periods import Calendar, Period
from collector.budgets.rules import Rule
from collector.model.budgets import Scope

_SCOPES = 1_000


class Forecasts:
    """Goes once through all scopes of a period when it is a tenth over, so many at a time. Not thread-safe."""

    def __init__(self, ledger: LedgerReader) -> None:
        self._ledger = ledger
        self._begun: dict[str, Period] = {}
        self._waiting: deque[tuple[Rule, Period, Scope]] = deque()

    def enqueue(self, rule: Rule, schedule: Calendar, now: int) -> None:
        """Have the scopes of a rule's period wait for their turn, once it is time."""
        period = schedule.at(now)
        if now - period.start < (period.end - period.start) * FORECAST_FROM or self._begun.get(rule.name) == period:
            return
        self._begun[rule.name] = period
        self._waiting.extend((rule, period, scope) for scope in self._ledger.scopes(rule, period))

    def next(self, now: int) -> list[State]:
        """The states of the next ones that wait."""
        taken = [self._waiting.popleft() for _ in range(min(_SCOPES, len(self._waiting)))]
        return [
            State(rule, scope, period, self._ledger.spend_in(rule, scope, period), now)
            for rule, period, scope in taken
            if now in period
        ]
