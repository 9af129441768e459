"""Spend by budget, period and scope: plain sums, kept equal to what the store would answer.

Written by one thread at a time, read by any: an amount is replaced, never changed, so a reader sees it whole.
A rolling window is the sum of its steps; a calendar period is one sum.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from collector.budgets.facts import NOTHING, Amount, TraceKey
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule
from collector.model.budgets import Scope

# Scopes beyond `max_values` share one, so that whoever invents values cannot fill the memory.
OTHER = "(other)"

_DAY_NS = 86_400 * 1_000_000_000
# Periods that ended no longer ago than this, or begin within a day, are counted; broken clocks name others.
_HORIZON_NS = 35 * _DAY_NS

_Cells = dict[Scope, Amount]


@dataclass(frozen=True, slots=True)
class Posted:
    """An amount that was counted: `after` is the sum it led to, in the period or step that begins at `start`."""

    after: Amount
    start: int
    trace: TraceKey
    span_id: str


@dataclass(frozen=True, slots=True)
class LeaseSpend:
    """All that the spans of a lease have spent so far. `finished`: the run's root span was among them."""

    amount: Amount = NOTHING
    finished: bool = False


@dataclass(slots=True)
class Changes:
    """What a write has touched, by rule: the postings of each scope, and the periods that have to be loaded first."""

    posted: dict[tuple[str, Scope], list[Posted]] = field(default_factory=dict)
    missing: dict[str, set[int]] = field(default_factory=dict)
    leases: dict[str, "LeaseSpend"] = field(default_factory=dict)


@dataclass(slots=True)
class _Account:
    """The sums of one rule, by start of period or step. `fingerprint` is what the rule counted when they were made."""

    fingerprint: str
    periods: dict[int, _Cells] = field(default_factory=dict)


class Ledger:
    """The sums of every rule. `ready` once they were built from the store."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._accounts: dict[str, _Account] = {}
        self.ready = False

    # -- reading --------------------------------------------------------------------------------------------------

    def spend(self, rule: Rule, scope: Scope, now: int) -> Amount:
        """What counts against the limit now: of the current period, or of the window that ends now."""
        schedule = rule.schedule
        if isinstance(schedule, Calendar):
            return self.spend_in(rule, scope, schedule.at(now))
        return self.spend_in(rule, scope, schedule.window(now))

    def spend_in(self, rule: Rule, scope: Scope, period: Period) -> Amount:
        """What was spent in a period, or in the steps of a window. Nothing where it is not kept."""
        account = self._accounts.get(rule.name)
        if account is None:
            return NOTHING
        if isinstance(rule.schedule, Calendar):
            cells = account.periods.get(period.start, {})
            return cells.get(self._known(cells, scope), NOTHING)
        # Up to 1,440 steps with every check: nothing is called a step.
        first, end, most = period.start, period.end, self._max_values
        found = []
        for start, cells in account.periods.copy().items():
            if first <= start < end:
                amount = cells.get(scope)
                if amount is None and len(cells) >= most:
                    amount = cells.get((OTHER,) * len(scope))
                if amount:
                    found.append(amount)
        return Amount(*map(sum, zip(*found, strict=True))) if found else NOTHING

    def scopes(self, rule: Rule, period: Period) -> dict[Scope, Amount]:
        """Every scope that spent something in a period or window."""
        periods = self._periods(rule)
        starts = self._starts(rule, period, periods)
        if len(starts) == 1:
            return periods.get(starts[0], {}).copy()
        totals: _Cells = {}
        for start in starts:
            for scope, amount in periods.get(start, {}).copy().items():
                totals[scope] = totals.get(scope, NOTHING).plus(amount)
        return totals

    def size(self) -> int:
        """How many sums are kept."""
        return sum(len(cells) for account in list(self._accounts.values()) for cells in list(account.periods.values()))

    def _periods(self, rule: Rule) -> dict[int, _Cells]:
        account = self._accounts.get(rule.name)
        return account.periods.copy() if account else {}

    @staticmethod
    def _starts(rule: Rule, period: Period, periods: Mapping[int, _Cells]) -> list[int]:
        if isinstance(rule.schedule, Calendar):
            return [period.start]
        return [start for start in periods if period.start <= start < period.end]

    def _known(self, cells: _Cells, scope: Scope) -> Scope:
        """The scope itself, or the one that stands for those beyond the bound."""
        if scope in cells or len(cells) < self._max_values:
            return scope
        return (OTHER,) * len(scope)

    # -- writing --------------------------------------------------------------------------------------------------

    def keep(self, rules: Iterable[Rule]) -> None:
        """Have an account for each of `rules` and for no other; a rule that counts the same calls keeps its own."""
        accounts = {}
        for rule in rules:
            old = self._accounts.get(rule.name)
            same = old and old.fingerprint == rule.fingerprint
            accounts[rule.name] = old if old and same else _Account(rule.fingerprint)
        self._accounts = accounts

    def post(self, rule: Rule, scope: Scope, fact_start: int, amount: Amount, now: int) -> tuple[int, Amount] | None:
        """Count an amount (a negative one takes back) at its time; the start of its period, and the sum there.

        None when the period is out of the horizon. The sum is NOTHING while the period waits to be loaded.
        """
        start = self._start(rule.schedule, fact_start, now)
        if start is None:
            return None
        periods = self._accounts[rule.name].periods
        cells = periods.get(start)
        if cells is None:
            if isinstance(rule.schedule, Calendar):
                return start, NOTHING
            cells = periods[start] = {}  # the steps of a window are loaded all at once: this one is new
        known = self._known(cells, scope)
        cells[known] = after = cells.get(known, NOTHING).plus(amount)
        return start, after

    @staticmethod
    def _start(schedule: Calendar | Rolling, ns: int, now: int) -> int | None:
        if isinstance(schedule, Rolling):
            start = schedule.bucket(ns)
            return start if schedule.window(now).start <= start <= now + _DAY_NS else None
        period = schedule.at(ns)
        return period.start if now - _HORIZON_NS <= period.end and period.start <= now + _DAY_NS else None

    def is_loaded(self, rule: Rule, start: int) -> bool:
        return start in self._accounts[rule.name].periods

    def load(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> list[Scope]:
        """Take over what the store says of a period or step; the scopes whose sum was another."""
        account = self._accounts[rule.name]
        before = account.periods.get(start)
        cells = self._bounded(exact, before or {})
        account.periods[start] = cells
        if before is None:
            return []
        scopes = cells.keys() | before.keys()
        return [scope for scope in scopes if cells.get(scope, NOTHING) != before.get(scope, NOTHING)]

    def _bounded(self, exact: Mapping[Scope, Amount], before: _Cells) -> _Cells:
        if len(exact) <= self._max_values:
            return dict(exact)
        by_spend = sorted(exact, key=lambda scope: (scope not in before, -exact[scope].pico, scope))
        cells = {scope: exact[scope] for scope in by_spend[: self._max_values]}
        others = (OTHER,) * len(by_spend[0])
        for scope in by_spend[self._max_values :]:
            cells[others] = cells.get(others, NOTHING).plus(exact[scope])
        return cells

    def forget(self, rules: Iterable[Rule], now: int) -> None:
        """Drop periods out of the horizon, and the steps that rolling windows have left."""
        for rule in rules:
            periods = self._accounts[rule.name].periods
            for start in list(periods):
                if self._start(rule.schedule, start, now) is None:
                    del periods[start]

    def cells(self, rule: Rule, start: int) -> dict[Scope, Amount]:
        """The sums of one period or step."""
        return self._accounts[rule.name].periods.get(start, {}).copy()

    def kept(self, rule: Rule) -> Iterator[int]:
        """The starts of the periods or steps that are kept."""
        yield from list(self._accounts[rule.name].periods)
