"""Spend by budget, period and scope: plain sums, kept equal to what the store would answer.

Written by one thread at a time, read by any: an amount is replaced, never changed, so a reader sees it whole.
A rolling window is the sum of its steps; a calendar period is one sum.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from collector.budgets.facts import NOTHING, Amount, SpanFact
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule
from collector.model.budgets import Scope

# Scopes beyond `max_values` share one, so that whoever invents values cannot fill the memory.
OTHER = "(other)"

_DAY_NS = 86_400 * 1_000_000_000
# Periods that ended no longer ago than this, or begin within a day, are counted; broken clocks name others.
HORIZON_NS = 35 * _DAY_NS

_SUMS_PER_VALUE = 10

_Cells = dict[Scope, Amount]


# Calls that are matched alike and lie in the same periods: added (1) or taken back (-1).
Portion = list[tuple[int, SpanFact]]


@dataclass(frozen=True, slots=True)
class Posted:
    """What a write has added to one sum, and by which calls, in the order in which they count."""

    before: Amount
    after: Amount
    portions: Sequence[Portion]

    @property
    def last(self) -> SpanFact:
        return self.portions[-1][-1][1]

    def crossing(self, is_over: Callable[[Amount], bool]) -> SpanFact:
        """The call after which the sum was over a line; the last one, where it was over it before or is not."""
        if is_over(self.before) or not is_over(self.after):
            return self.last
        total = self.before
        for sign, call in chain.from_iterable(self.portions):
            total = total.plus(call.amount, sign)
            if is_over(total):
                return call
        return self.last


@dataclass(frozen=True, slots=True)
class LeaseSpend:
    """All that the spans of a lease have spent so far. `finished`: the run's root span was among them."""

    amount: Amount = NOTHING
    finished: bool = False


@dataclass(slots=True)
class Changes:
    """What a write has touched: by rule, scope and start of the period or step; and the periods to be loaded first."""

    posted: dict[tuple[str, Scope, int], Posted] = field(default_factory=dict)
    missing: dict[str, set[int]] = field(default_factory=dict)
    leases: dict[str, "LeaseSpend"] = field(default_factory=dict)


@dataclass(slots=True)
class _Account:
    """The sums of one rule, by start of period or step. `fingerprint` is what the rule counted when they were made.

    `totals` are those of the steps in `window`, None until a rolling window was first asked for. `size` is the number
    of sums in `periods`. Steps before `whole_from` may lack sums.
    """

    fingerprint: str
    periods: dict[int, _Cells] = field(default_factory=dict)
    size: int = 0
    window: Period | None = None
    totals: _Cells = field(default_factory=dict)
    whole_from: int = 0

    def count(self, start: int, scope: Scope, amount: Amount, sign: int = 1) -> None:
        """Add to the window's total, where the step is in it."""
        if self.window and start in self.window:
            after = self.totals.get(scope, NOTHING).plus(amount, sign)
            if after == NOTHING:
                self.totals.pop(scope, None)
            else:
                self.totals[scope] = after

    def put(self, start: int, cells: _Cells) -> None:
        """Have other sums in a period or step."""
        before = self.periods.get(start, {})
        self.periods[start] = cells
        self.size += len(cells) - len(before)
        for scope in cells.keys() | before.keys() if self.window else ():
            old, new = before.get(scope, NOTHING), cells.get(scope, NOTHING)
            if old != new:
                self.count(start, scope, new.plus(old, -1))

    def drop(self, start: int) -> None:
        self.put(start, {})
        del self.periods[start]

    def forget_before(self, start: int) -> None:
        for older in [step for step in self.periods if step < start]:
            self.drop(older)
        self.whole_from = max(self.whole_from, start)

    def roll(self, window: Period, step: int) -> None:
        """Make `totals` those of another window."""
        old = self.window
        if old is None or not old.start <= window.start < old.end:
            self.totals = {}
            entering = [start for start in self.periods if start in window]
        else:
            for start in range(old.start, window.start, step):
                for scope, amount in self.periods.get(start, {}).items():
                    self.count(start, scope, amount, -1)
            entering = [start for start in range(old.end, window.end, step) if start in self.periods]
        self.window = window
        for start in entering:
            for scope, amount in self.periods[start].items():
                self.count(start, scope, amount)


class Ledger:
    """The sums of every rule. `ready` once they were built from the store."""

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        # A window has a sum for each step and scope: so many of them at most, or some would fill the memory.
        self._max_sums = _SUMS_PER_VALUE * max_values
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()
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
            return self._of(account, account.periods.get(period.start, {}), scope)
        with self._lock:
            totals = self._totals(account, rule.schedule, period)
            # A scope that shares a sum with others in some steps has to be looked for in each.
            if totals is not None and not (scope and (OTHER,) * len(scope) in totals):
                return totals.get(scope, NOTHING)
            steps = [cells for start, cells in account.periods.items() if start in period]
            return _sum_of(self._of(account, cells, scope) for cells in steps)

    def known_as(self, rule: Rule, scope: Scope, period: Period) -> Scope:
        """The scope whose sum a scope's spend is in: itself, or the one that stands for those beyond the bounds."""
        account = self._accounts.get(rule.name)
        if account is None:
            return scope
        with self._lock:
            totals = self._totals(account, rule.schedule, period) if isinstance(rule.schedule, Rolling) else None
            kept = account.periods.get(period.start, {}) if totals is None else totals
            others = (OTHER,) * len(scope)
            return others if scope not in kept and others in kept else scope

    def scopes(self, rule: Rule, period: Period) -> dict[Scope, Amount]:
        """Every scope that spent something in a period or window."""
        account = self._accounts.get(rule.name)
        if account is None:
            return {}
        if isinstance(rule.schedule, Calendar):
            return account.periods.get(period.start, {}).copy()
        with self._lock:
            totals = self._totals(account, rule.schedule, period)
            if totals is not None:
                return totals.copy()
        found: _Cells = {}
        for start in list(account.periods):
            with self._lock:  # for a step at a time, so that others may read between
                for scope, amount in account.periods.get(start, {}).items() if start in period else ():
                    found[scope] = found.get(scope, NOTHING).plus(amount)
        return found

    def steps(self, rule: Rule, scopes: Collection[Scope], period: Period) -> dict[Scope, list[tuple[int, Amount]]]:
        """What each of these scopes has spent in each step of a stretch of time, without steps of nothing."""
        found: dict[Scope, list[tuple[int, Amount]]] = {scope: [] for scope in scopes}
        account = self._accounts.get(rule.name)
        if account is None:
            return found
        others = (OTHER,) * len(rule.per)
        for start in self._starts(rule, account, period):
            with self._lock:  # for a step at a time, so that others may read between
                cells = account.periods.get(start, {})
                few = cells if len(cells) < len(found) and others not in cells else found
                for scope in few:
                    amount = self._of(account, cells, scope) if scope in found else NOTHING
                    if amount != NOTHING:
                        found[scope].append((start, amount))
        return found

    @staticmethod
    def _starts(rule: Rule, account: _Account, period: Period) -> Iterable[int]:
        """The starts of the steps in a stretch of time."""
        assert isinstance(rule.schedule, Rolling)
        span = range(period.start, period.end, rule.schedule.step_ns)
        if len(span) < len(account.periods):
            return span
        return [start for start in list(account.periods) if start in period]

    def whole_from(self, rule: Rule, now: int) -> int:
        """The first step of a rolling window's rule from which on all are known."""
        schedule, account = rule.schedule, self._accounts.get(rule.name)
        assert isinstance(schedule, Rolling)
        return max(schedule.kept(now).start, account.whole_from if account else 0)

    def size(self) -> int:
        """How many sums are kept."""
        return sum(account.size for account in list(self._accounts.values()))

    def _totals(self, account: _Account, schedule: Rolling, window: Period) -> _Cells | None:
        """The sums of a window, unless a later one was asked for before."""
        if account.window and window.end < account.window.end:
            return None
        if window.end - window.start != schedule.length_ns:
            return None
        if window != account.window:
            account.roll(window, schedule.step_ns)
            if account.size >= self._max_sums:
                account.forget_before(window.start)  # what counts against a limit comes before what once did
        return account.totals

    def _of(self, account: _Account, cells: _Cells, scope: Scope) -> Amount:
        return cells.get(self._known(account, cells, scope), NOTHING)

    def _known(self, account: _Account, cells: _Cells, scope: Scope) -> Scope:
        """The scope itself, or the one that stands for those beyond the bounds."""
        if scope in cells or (len(cells) < self._max_values and account.size < self._max_sums):
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

    def has(self, rule: Rule) -> bool:
        """Whether there is an account of what this rule counts."""
        account = self._accounts.get(rule.name)
        return account is not None and account.fingerprint == rule.fingerprint

    def start_of(self, rule: Rule, ns: int, now: int) -> int | None:
        """The start of the period or step that holds a moment; None when it is out of the horizon."""
        schedule = rule.schedule
        if isinstance(schedule, Rolling):
            start = schedule.bucket(ns)
            return start if schedule.kept(now).start <= start <= now + _DAY_NS else None
        period = schedule.at(ns)
        return period.start if now - HORIZON_NS <= period.end and period.start <= now + _DAY_NS else None

    def add(self, rule: Rule, scope: Scope, start: int, amount: Amount) -> tuple[Amount, Amount]:
        """Count an amount in the period or step that begins at `start`; the sum there before and after.

        Both are NOTHING while the period waits to be loaded.
        """
        account = self._accounts[rule.name]
        cells = account.periods.get(start)
        if cells is None:
            if isinstance(rule.schedule, Calendar):
                return NOTHING, NOTHING
            cells = account.periods[start] = {}  # the steps of a window are loaded all at once: this one is new
        with self._lock:
            known = self._known(account, cells, scope)
            before = cells.get(known)
            account.size += before is None
            before = before or NOTHING
            cells[known] = after = before.plus(amount)
            account.count(start, known, amount)
        return before, after

    def is_loaded(self, rule: Rule, start: int) -> bool:
        return start in self._accounts[rule.name].periods

    def load(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> list[Scope]:
        """Take over what the store says of a period or step; the scopes whose sum was another."""
        account = self._accounts[rule.name]
        before = account.periods.get(start)
        with self._lock:
            cells = self._bounded(exact, before or {}, self._max_sums - account.size)
            account.put(start, cells)
        if before is None:
            return []
        scopes = cells.keys() | before.keys()
        return [scope for scope in scopes if cells.get(scope, NOTHING) != before.get(scope, NOTHING)]

    def _bounded(self, exact: Mapping[Scope, Amount], before: _Cells, free: int) -> _Cells:
        most = max(0, min(self._max_values, len(before) + free))
        if len(exact) <= most:
            return dict(exact)
        by_spend = sorted(exact, key=lambda scope: (scope not in before, -exact[scope].pico, scope))
        cells = {scope: exact[scope] for scope in by_spend[:most]}
        others = (OTHER,) * len(by_spend[0])
        for scope in by_spend[most:]:
            cells[others] = cells.get(others, NOTHING).plus(exact[scope])
        return cells

    def forget(self, rules: Iterable[Rule], now: int) -> None:
        """Drop the steps that windows have left, and all periods before the last one: late spans load them again."""
        for rule in rules:
            account = self._accounts[rule.name]
            schedule = rule.schedule
            first = 0 if isinstance(schedule, Rolling) else schedule.before(schedule.at(now)).start
            with self._lock:
                if isinstance(rule.schedule, Rolling):
                    self._totals(account, rule.schedule, rule.schedule.window(now))
                for start in list(account.periods):
                    if start < first or self.start_of(rule, start, now) is None:
                        account.drop(start)

    def cells(self, rule: Rule, start: int) -> dict[Scope, Amount]:
        """The sums of one period or step."""
        return self._accounts[rule.name].periods.get(start, {}).copy()

    def kept(self, rule: Rule) -> Iterator[int]:
        """The starts of the periods or steps that are kept."""
        yield from list(self._accounts[rule.name].periods)


def _sum_of(amounts: Iterable[Amount]) -> Amount:
    total = NOTHING
    for amount in amounts:
        total = total.plus(amount)
    return total
