"""The sums of a budget with a rolling window, for any thread."""

import threading
from collections.abc import Callable, Iterable
from typing import ClassVar

from collector.budgets.ledger.account import Account, Cells, Checks, copied
from collector.budgets.ledger.rolling_advance import advance
from collector.budgets.ledger.rolling_sums import RollingSums
from collector.budgets.periods import Period, Rolling
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope
from collector.slices import clear_in_slices, slices

# So many sums at most are read or written while the lock is held.
_SUMS = 250


class RollingAccount(Account):
    """All steps are loaded at once: one that is not kept has no spend."""

    copies: ClassVar[int] = 2  # in its step, and in what the window adds up to

    def __init__(self, fingerprint: str, schedule: Rolling, others: Scope, lock: threading.Lock) -> None:
        checks = Checks()
        super().__init__(fingerprint, others, lock, checks)
        self._sums = RollingSums(schedule, others, checks.verified)

    @property
    def size(self) -> int:
        return self._sums.size

    @property
    def complete_from(self) -> int:
        return self._sums.complete_from

    # -- reading --------------------------------------------------------------------------------------------------

    def starts(self) -> list[int]:
        return self._sums.starts()

    def _at(self, start: int) -> Cells | None:
        return self._sums.find(start)

    def copy(self, start: int) -> Cells:
        return copied(self.at(start) or {})

    def spend(self, scope: Scope, period: Period, *, ahead: bool = False) -> Amount:
        amount = self._sums.unlocked(scope, period, ahead=ahead)
        if amount is None:
            with self.lock:
                amount = self._sums.in_window(scope, period, ahead=ahead)
        return amount

    def scopes(self, period: Period, *, ahead: bool = False) -> Cells:
        spent: Cells = {}
        for part in slices(list(self._sums.totals), _SUMS):
            with self.lock:
                spent.update(zip(part, self._sums.apart(part, period, ahead=ahead), strict=True))
        past = [start for start in list(self._sums.past) if start >= period.start and (ahead or start < period.end)]
        for start in past:
            with self.lock:  # for a step at a time, so that others may read between
                for scope, amount in self._sums.past.get(start, {}).items():
                    spent[scope] = spent.get(scope, NOTHING).plus(amount)
        return {scope: amount for scope, amount in spent.items() if amount != NOTHING}

    def slots_in(self, period: Period) -> Iterable[int]:
        return self._sums.steps_in(period)

    def counted_as(self, scope: Scope, period: Period) -> Scope:  # noqa: ARG002 # of the window as it is kept
        totals = self._sums.totals
        return self.others if scope not in totals and self.others in totals else scope

    # -- writing --------------------------------------------------------------------------------------------------

    def is_loaded(self, start: int) -> bool:  # noqa: ARG002 # each step is
        return True

    def add(self, start: int, scope: Scope, amount: Amount) -> tuple[Amount, Amount]:
        with self.lock:
            if not self._sums.open(start):
                return NOTHING, NOTHING
            before = self._sums.at(start).get(scope, NOTHING)
            after = before.plus(amount)
            self._sums.put(start, scope, after)
            self.checks.counted(start, scope, before, after)
        return before, after

    def take_over(self, start: int, cells: Cells) -> None:
        with self.lock:
            if not cells and not self._sums.at(start):
                return
            if not self._sums.open(start):
                return
            kept = self._sums.at(start)
        before = copied(kept)
        changes: list[tuple[Scope, Amount | None]] = [(scope, None) for scope in before if scope not in cells]
        changes += [(scope, amount) for scope, amount in cells.items() if before.get(scope) != amount]
        for part in slices(changes, _SUMS):
            with self.lock:
                if not self._sums.open(start):
                    return
                for scope, after in part:
                    self._sums.put(start, scope, after)

    def advance(self, now: int) -> None:
        window = self._sums.schedule.window(now)
        arrived = False
        while not arrived:
            with self.lock:
                arrived = advance(self._sums, window)

    def forget(self, now: int) -> None:
        self.advance(now)

    def make_room(self, start: int, is_full: Callable[[], bool]) -> None:  # noqa: ARG002 # all at once
        """What windows held once goes first: what counts against a limit comes before it."""
        with self.lock:
            past = self._sums.forget_past()
        for cells in past:
            clear_in_slices(cells)
