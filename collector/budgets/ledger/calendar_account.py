"""The sums of a budget with calendar periods: one a period and scope."""

import threading
from collections.abc import Callable, Iterable
from typing import ClassVar, TypeVar

from collector.budgets.ledger.account import Account, Cells, Checks, copied, spend_of
from collector.budgets.ledger.folding import dearest
from collector.budgets.periods import Calendar, Period
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope
from collector.slices import clear_in_slices

# Where there is no room, periods that are over keep one in so many of their sums apart, and no fewer than this.
_FOLDED = 4
_MIN_SCOPES = 16

_Read = TypeVar("_Read")


class CalendarAccount(Account):
    """A period is loaded from the store before anything is counted in it."""

    copies: ClassVar[int] = 1

    def __init__(self, fingerprint: str, schedule: Calendar, others: Scope, lock: threading.Lock) -> None:
        super().__init__(fingerprint, others, lock, Checks())
        self._schedule = schedule
        self._periods: dict[int, Cells] = {}
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    @property
    def complete_from(self) -> int:
        return 0

    # -- reading --------------------------------------------------------------------------------------------------

    def starts(self) -> list[int]:
        return list(self._periods)

    def at(self, start: int) -> Cells | None:
        return self._periods.get(start)

    _at = at

    def copy(self, start: int) -> Cells:
        return self._read(start, copied)

    def spend(self, scope: Scope, period: Period, *, ahead: bool = False) -> Amount:
        amount = self._spend_at(period.start, scope)
        for start in self._after(period) if ahead else ():
            amount = amount.plus(self._spend_at(start, scope))
        return amount

    def _spend_at(self, start: int, scope: Scope) -> Amount:
        return self._read(start, lambda cells: spend_of(cells, scope, self.others))

    def _after(self, period: Period) -> list[int]:
        return [start for start in self.starts() if start >= period.end]

    def scopes(self, period: Period, *, ahead: bool = False) -> Cells:
        spent = self.copy(period.start)
        for start in self._after(period) if ahead else ():
            for scope, amount in self.copy(start).items():
                spent[scope] = spent.get(scope, NOTHING).plus(amount)
        return spent

    def slots_in(self, period: Period) -> Iterable[int]:
        return sorted(start for start in self.starts() if start in period)

    def counted_as(self, scope: Scope, period: Period) -> Scope:
        cells = self._periods.get(period.start, {})
        return self.others if scope not in cells and self.others in cells else scope

    def _read(self, start: int, reading: Callable[[Cells], _Read]) -> _Read:
        """What is read from a period without the lock: anew, when its sums were replaced meanwhile."""
        while True:
            cells = self._periods.get(start)
            result = reading(cells or {})
            if self._periods.get(start) is cells:
                return result

    # -- writing --------------------------------------------------------------------------------------------------

    def is_loaded(self, start: int) -> bool:
        return start in self._periods

    def add(self, start: int, scope: Scope, amount: Amount) -> tuple[Amount, Amount]:
        with self.lock:
            cells = self._periods.get(start)
            if cells is None:
                return NOTHING, NOTHING
            before = cells.get(scope, NOTHING)
            after = before.plus(amount)
            self._size += scope not in cells
            cells[scope] = after
            self.checks.counted(start, scope, before, after)
        return before, after

    def take_over(self, start: int, cells: Cells) -> None:
        with self.lock:
            before = self._periods.get(start, {})
            self._periods[start] = cells
            self._size += len(cells) - len(before)
        clear_in_slices(before)

    def advance(self, now: int) -> None:
        """A new period has no sums yet."""

    def forget(self, now: int) -> None:
        """Drop all periods before the last one: late spans load them again."""
        first = self._schedule.before(self._schedule.at(now)).start
        for start in self.starts():
            if start < first or self._schedule.countable(start, now) is None:
                with self.lock:
                    cells = self._periods.pop(start)
                    self.checks.verified.discard(start)
                    self._size -= len(cells)
                clear_in_slices(cells)

    def make_room(self, start: int, is_full: Callable[[], bool]) -> None:
        """Of the periods before, only some scopes, which spent most, stay apart."""
        for earlier, cells in list(self._periods.items()):
            if earlier < start and len(cells) > _MIN_SCOPES and is_full():
                max_cells = max(_MIN_SCOPES, len(cells) // _FOLDED)
                self.take_over(earlier, dearest(cells, {}, max_cells, self.others))
