"""Spend by budget, period and scope: plain sums, kept equal to what the store would answer.

Written by one thread at a time, read by any: an amount is replaced, never changed, so a reader sees it whole. No lock
is held for longer than some hundred sums take: checks ask while a batch is counted.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from collector.budgets.ledger_account import OTHER, Account, Cells
from collector.budgets.periods import Calendar, Period, Rolling
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount, SpanFact
from collector.model.budgets import Scope
from collector.slices import clear_in_slices

_DAY_NS = 86_400 * 1_000_000_000
# Periods that ended no longer ago than this, or begin within a day, are counted; broken clocks name others.
HORIZON_NS = 35 * _DAY_NS

# Where there is no room, periods that are over keep one in so many of their sums apart, and no fewer than this.
_FOLDED = 4
_MIN_SCOPES = 16
# They are parted once so large a part of all room is free.
_PARTED = 10
_AT_ONCE = 250
_MAX_PICO = 2**63 - 1

_Read = TypeVar("_Read")


class Portion(NamedTuple):
    """Calls that are matched alike and lie in the same periods: added (sign 1) or taken back (-1)."""

    sign: int
    calls: list[SpanFact]


@dataclass(slots=True)
class Posted:
    """What a write has added to one sum, and by which calls, in the order in which they count."""

    before: Amount
    after: Amount
    portions: list[Portion]

    @property
    def last(self) -> SpanFact:
        return self.portions[-1].calls[-1]

    def crossing(self, is_over: Callable[[Amount], bool]) -> SpanFact:
        """The call after which the sum was over a line; the last one, where it was over it before or is not."""
        if is_over(self.before) or not is_over(self.after):
            return self.last
        total = self.before
        for portion in self.portions:
            for call in portion.calls:
                total = total.plus(call.amount, portion.sign)
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


class Ledger:
    """The sums of every rule. `ready` once they were built from the store.

    `max_values` sums are kept apart, of all rules, periods and scopes together; the scopes that come when there is no
    room share one sum a period (or step of a window) and rule, of the scope OTHER. Half of the room is divided among
    the rules, the other half belongs to who comes first: a rule with many scopes leaves each other its part.
    """

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._share = 0
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()
        self.ready = False

    # -- reading --------------------------------------------------------------------------------------------------

    def spend_in(self, rule: Rule, scope: Scope, period: Period) -> Amount:
        """What was spent in a period, or in a window that ends now. Nothing where it is not kept.

        Of a scope that shares a sum with others it is what all of these have spent: never less than it spent itself.
        """
        account = self._accounts.get(rule.name)
        if account is None:
            return NOTHING
        if isinstance(rule.schedule, Calendar):
            return _read(account, period.start, lambda cells: account.found(cells, scope))
        amount = account.at_once(scope, period)
        if amount is None:
            with self._lock:
                amount = account.in_window(scope, period)
        return amount

    def known_as(self, rule: Rule, scope: Scope, period: Period) -> Scope:
        """The scope whose sum a scope's spend is in: itself, or the one that stands for those without room."""
        account = self._accounts.get(rule.name)
        if account is None:
            return scope
        cells = account.totals if isinstance(rule.schedule, Rolling) else account.periods.get(period.start, {})
        return account.others if scope not in cells and account.others in cells else scope

    def scopes(self, rule: Rule, period: Period) -> dict[Scope, Amount]:
        """Every scope that spent something in a period, or in a window that ends now."""
        account = self._accounts.get(rule.name)
        if account is None:
            return {}
        if isinstance(rule.schedule, Calendar):
            return _read(account, period.start, _copy)
        found: Cells = {}
        scopes = list(account.totals)
        for begin in range(0, len(scopes), _AT_ONCE):
            some = scopes[begin : begin + _AT_ONCE]
            with self._lock:
                found.update(zip(some, account.apart(some, period), strict=True))
        for start in [start for start in list(account.past) if start in period]:
            with self._lock:  # for a step at a time, so that others may read between
                for scope, amount in account.past.get(start, {}).items():
                    found[scope] = found.get(scope, NOTHING).plus(amount)
        return {scope: amount for scope, amount in found.items() if amount != NOTHING}

    def steps(self, rule: Rule, scopes: Collection[Scope], period: Period) -> dict[Scope, list[tuple[int, Amount]]]:
        """What each of these scopes has spent in each step of a stretch of time, without steps of nothing."""
        found: dict[Scope, list[tuple[int, Amount]]] = {scope: [] for scope in scopes}
        account = self._accounts.get(rule.name)
        if account is None:
            return found
        for start in account.steps_in(period):
            with self._lock:  # for a step at a time, so that others may read between
                cells = account.at(start)
                few = cells if len(cells) < len(found) and account.others not in cells else found
                for scope in few:
                    amount = account.found(cells, scope) if scope in found else NOTHING
                    if amount != NOTHING:
                        found[scope].append((start, amount))
        return found

    def whole_from(self, rule: Rule, now: int) -> int:
        """The first step of a rolling window's rule from which on all are known."""
        schedule, account = rule.schedule, self._accounts.get(rule.name)
        assert isinstance(schedule, Rolling)
        return max(schedule.kept(now).start, account.whole_from if account else 0)

    def size(self) -> int:
        """How many sums are kept."""
        return sum(account.size for account in list(self._accounts.values()))

    # -- rules ----------------------------------------------------------------------------------------------------

    def keep(self, rules: Iterable[Rule]) -> None:
        """Have an account for each of `rules` and for no other; a rule that counts the same calls keeps its own."""
        accounts, before = {}, self._accounts
        for rule in rules:
            old = before.get(rule.name)
            same = old and old.fingerprint == rule.fingerprint
            new = Account(rule.fingerprint, rule.schedule, (OTHER,) * len(rule.per))
            accounts[rule.name] = old if old and same else new
        self._share = self._max_values // (2 * max(1, len(accounts)))
        self._accounts = accounts

    def has(self, rule: Rule) -> bool:
        """Whether there is an account of what this rule counts."""
        account = self._accounts.get(rule.name)
        return account is not None and account.fingerprint == rule.fingerprint

    def start_of(self, rule: Rule, ns: int, now: int) -> int | None:
        """The start of the period or step that holds a moment; None when it is long over, or not soon to come."""
        schedule = rule.schedule
        if isinstance(schedule, Rolling):
            start = schedule.bucket(ns)
            return start if schedule.kept(now).start <= start <= now + _DAY_NS else None
        period = schedule.at(ns)
        return period.start if now - HORIZON_NS <= period.end and period.start <= now + _DAY_NS else None

    # -- writing --------------------------------------------------------------------------------------------------

    def add(self, rule: Rule, scope: Scope, start: int, amount: Amount) -> tuple[Amount, Amount]:
        """Count an amount in the period or step that begins at `start`; the sum there before and after.

        Both are NOTHING while the period waits to be loaded.
        """
        account = self._accounts[rule.name]
        if start not in account.periods and isinstance(rule.schedule, Calendar):
            return NOTHING, NOTHING
        with self._lock:
            cells = account.at(start)
        known = scope if scope in cells else self._place(account, cells, scope, start)
        with self._lock:
            if not account.open(start):
                return NOTHING, NOTHING
            before = account.at(start).get(known, NOTHING)
            after = before.plus(amount)
            account.put(start, known, after)
            if account.seen is not None:
                account.seen.setdefault((start, known), [before]).append(after)
            account.sure.discard(start)
        return before, after

    def is_loaded(self, rule: Rule, start: int) -> bool:
        """The steps of a window are loaded all at once: one that is not kept is empty."""
        return isinstance(rule.schedule, Rolling) or start in self._accounts[rule.name].periods

    def load(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> list[Scope]:
        """Take over what the store says of a period or step; the scopes whose sum was another."""
        account = self._accounts[rule.name]
        account.loads += 1
        for other in self._accounts.values():
            other.granted = 0
        with self._lock:
            before = account.at(start) if start in account.periods or start in account.past else None
        differing = [] if before is None else _differing(_as_kept(account, exact, before), before)
        if isinstance(rule.schedule, Calendar):
            cells = self._bounded(account, exact, before or {}, self._room(account))
            with self._lock:
                account.replace(start, cells)
            clear_in_slices(before or {})
        elif exact or before:
            cells = self._bounded(account, exact, before or {}, self._room(account) // 2)
            self._load_step(account, start, cells)
        return differing

    def _load_step(self, account: Account, start: int, cells: Cells) -> None:
        with self._lock:
            if not account.open(start):
                return
            kept = account.at(start)
        before = _copy(kept)
        changes: list[tuple[Scope, Amount | None]] = [(scope, None) for scope in before if scope not in cells]
        changes += [(scope, amount) for scope, amount in cells.items() if before.get(scope) != amount]
        for begin in range(0, len(changes), _AT_ONCE):
            with self._lock:
                if not account.open(start):
                    return
                for scope, amount in changes[begin : begin + _AT_ONCE]:
                    account.put(start, scope, amount)

    def forget(self, rules: Iterable[Rule], now: int) -> None:
        """Drop the steps that windows have left, and all periods before the last one: late spans load them again."""
        for rule in rules:
            account, schedule = self._accounts[rule.name], rule.schedule
            if isinstance(schedule, Rolling):
                self._advance(account, schedule.window(now))
                continue
            first = schedule.before(schedule.at(now)).start
            for start in list(account.periods):
                if start < first or self.start_of(rule, start, now) is None:
                    with self._lock:
                        cells = account.drop(start)
                    clear_in_slices(cells)

    def advance(self, now: int) -> None:
        """Move the windows on to this moment. Any thread may call it, and any may ask meanwhile."""
        for account in list(self._accounts.values()):
            if isinstance(account.schedule, Rolling):
                self._advance(account, account.schedule.window(now))

    def _advance(self, account: Account, window: Period) -> None:
        there = False
        while not there:
            with self._lock:
                there = account.advance(window)

    def cells(self, rule: Rule, start: int) -> dict[Scope, Amount]:
        """The sums of one period or step."""
        account = self._accounts.get(rule.name)
        if account is None:
            return {}
        if isinstance(rule.schedule, Calendar):
            return _read(account, start, _copy)
        with self._lock:
            cells = account.at(start)
        return _copy(cells)

    def kept(self, rule: Rule) -> Iterator[int]:
        """The starts of the periods or steps that are kept."""
        yield from self._accounts[rule.name].starts()

    # -- comparing ------------------------------------------------------------------------------------------------

    def unsure(self, rule: Rule) -> list[int]:
        """The starts of the kept periods or steps that are to be compared with the store, in order."""
        account = self._accounts[rule.name]
        return sorted(set(account.starts()).difference(account.sure))

    def watch(self, rules: Iterable[Rule]) -> None:
        """Remember from now on what each sum was, for `is_or_was`; until `unwatch`."""
        for rule in rules:
            self._accounts[rule.name].seen = {}
            self._accounts[rule.name].loads = 0

    def unwatch(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if account := self._accounts.get(rule.name):
                account.seen = None

    def trust(self, rule: Rule, starts: Iterable[int]) -> None:
        """These periods or steps are over and were found right: unless they changed since `watch`, they are sure."""
        account = self._accounts[rule.name]
        with self._lock:
            changed = {start for start, _ in account.seen or ()}
            kept = set(account.starts())
            account.sure.update(start for start in starts if start in kept and start not in changed)

    def trust_none(self) -> None:
        """Have everything compared again."""
        with self._lock:
            for account in self._accounts.values():
                account.sure.clear()

    def is_or_was(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> bool:
        """Whether each sum of a period or step is what the store said, or was it at some time since `watch`.

        The store answered at one of these times, nobody knows at which: rows are stored first and counted then.
        """
        account = self._accounts.get(rule.name)
        if account is None or account.seen is None or account.loads:
            return False
        if start < account.whole_from:
            return True  # it is not kept
        with self._lock:
            cells = account.at(start)
        stored = _as_kept(account, exact, cells)
        if any(not self._was(account, cells, start, scope, amount) for scope, amount in stored.items()):
            return False
        return all(scope in stored or self._was(account, cells, start, scope, NOTHING) for scope in list(cells))

    @staticmethod
    def _was(account: Account, cells: Cells, start: int, scope: Scope, amount: Amount) -> bool:
        if cells.get(scope, NOTHING) == amount:
            return True
        seen = account.seen
        return seen is not None and amount in seen.get((start, scope), ())

    # -- bounds ---------------------------------------------------------------------------------------------------

    def may_part(self, rule: Rule, starts: Iterable[int]) -> bool:
        """Whether scopes share a sum in one of these periods or steps, though there is room: `load` parts them."""
        account = self._accounts[rule.name]
        if not account.others or self._room(account) * _PARTED <= self._max_values:
            return False
        return any(account.others in account.at(start) for start in starts)

    def _room(self, account: Account) -> int:
        """How many more sums an account may have."""
        beyond = sum(max(0, other.size - self._share) for other in list(self._accounts.values()))
        common = self._max_values - self._share * len(self._accounts) - beyond
        return max(0, self._share - account.size) + common

    def _place(self, account: Account, cells: Cells, scope: Scope, start: int) -> Scope:
        """Where a new scope is counted: by itself, or with others. Once some share a sum, all that come later do."""
        if account.others in cells:
            return account.others
        if account.granted:
            account.granted -= 1
            return scope
        room = self._room(account)
        if room <= 0:
            self._fold(account, start)
            room = self._room(account)
        account.granted = max(0, room) // (4 * len(self._accounts))
        return scope if room > 0 else account.others

    def _fold(self, account: Account, start: int) -> None:
        """Make room in the periods before `start`: of these only some scopes, which spent most, stay apart.

        What windows held once goes first: what counts against a limit comes before it.
        """
        if isinstance(account.schedule, Rolling):
            with self._lock:
                past = account.forget_past()
            for cells in past:
                clear_in_slices(cells)
            return
        for earlier, cells in list(account.periods.items()):
            if earlier < start and len(cells) > _MIN_SCOPES and self._room(account) <= 0:
                max_cells = max(_MIN_SCOPES, len(cells) // _FOLDED)
                folded = _dearest(account, cells, {}, max_cells)
                with self._lock:
                    account.replace(earlier, folded)
                clear_in_slices(cells)

    def _bounded(self, account: Account, exact: Mapping[Scope, Amount], before: Cells, room: int) -> Cells:
        max_cells = len(before) + room
        return dict(exact) if len(exact) <= max_cells else _dearest(account, exact, before, max_cells)


def _dearest(account: Account, sums: Mapping[Scope, Amount], before: Cells, max_cells: int) -> Cells:
    """Those `max_cells` sums that were apart before, or else are highest; what is left as one sum."""
    max_cells = max(0, max_cells)
    picos = np.fromiter((min(amount.pico, _MAX_PICO) for amount in sums.values()), np.int64, len(sums))
    apart = np.fromiter((scope in before and scope != account.others for scope in sums), np.bool_, len(sums))
    chosen = np.zeros(len(sums), np.bool_)
    chosen[np.lexsort((-picos, ~apart))[:max_cells]] = True
    cells: Cells = {}
    for keep, (scope, amount) in zip(chosen.tolist(), sums.items(), strict=True):
        known = scope if keep else account.others
        cells[known] = cells[known].plus(amount) if known in cells else amount
    return cells


def _as_kept(account: Account, exact: Mapping[Scope, Amount], cells: Cells) -> Mapping[Scope, Amount]:
    """What the store says, with those scopes in one sum that share one in `cells`."""
    if not account.others or account.others not in cells:
        return exact
    found: Cells = {}
    for scope, amount in exact.items():
        known = scope if scope in cells else account.others
        found[known] = found[known].plus(amount) if known in found else amount
    return found


def _differing(stored: Mapping[Scope, Amount], before: Cells) -> list[Scope]:
    found = [scope for scope, amount in stored.items() if before.get(scope, NOTHING) != amount]
    return found + [scope for scope, amount in list(before.items()) if scope not in stored and amount != NOTHING]


def _read(account: Account, start: int, reading: Callable[[Cells], _Read]) -> _Read:
    """What is read from a calendar period without a lock: anew, when its sums were replaced meanwhile."""
    while True:
        cells = account.periods.get(start)
        found = reading(cells or {})
        if account.periods.get(start) is cells:
            return found


def _copy(cells: Cells) -> Cells:
    """Sum by sum: `dict.copy` of a hundred thousand is one long step."""
    return {scope: amount for scope in list(cells) if (amount := cells.get(scope)) is not None}
