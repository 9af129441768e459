"""The sums of one budget: by start of period or step, and by scope.

A calendar period is one sum a scope. A rolling window is the sum of its steps, and is kept beside them: `totals` adds
up every step from the window's first on, `future` those that begin at `end` or later. A scope's spend in the window up
to `end` is `totals` without `future`. The window moves on sum by sum, so that it may be asked in between. Steps that it
has left are kept in `past` for some time, so that it is known what earlier windows held.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.budgets.periods import Period, Rolling, Schedule
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope

# Scopes for which there is no room share one sum, so that whoever invents values cannot fill the memory.
OTHER = "(other)"

Cells = dict[Scope, Amount]

_AT_ONCE = 250


@dataclass(slots=True)
class Account:
    """For whoever holds the ledger's lock; each call is short. `fingerprint` is what the rule counts.

    `size` is the number of sums; so many more are `granted` without a look at the room there is. `seen` has, while
    someone compares the account with the store, the amounts that each sum had since, by start and scope; `loads` counts
    what was taken over from the store meanwhile. `sure` are the periods and steps that need no comparing: they were
    found right when late spans were hardly to be expected any more, and nothing was counted in them since.
    """

    fingerprint: str
    schedule: Schedule
    others: Scope
    periods: dict[int, Cells] = field(default_factory=dict)
    size: int = 0
    granted: int = 0
    loads: int = 0
    seen: dict[tuple[int, Scope], list[Amount]] | None = None
    sure: set[int] = field(default_factory=set)
    begin: int = 0  # of the first step of `periods`, of which some sums may be in `past` already
    end: int = 0  # of the window
    totals: Cells = field(default_factory=dict)
    future: Cells = field(default_factory=dict)
    ahead: dict[int, Cells] = field(default_factory=dict)  # the sums in `future`, by step
    sharing: dict[int, None] = field(default_factory=dict)  # steps of `periods` in which scopes share a sum
    past: dict[int, Cells] = field(default_factory=dict)
    whole_from: int = 0  # of the first step that may not lack sums

    # -- reading --------------------------------------------------------------------------------------------------

    def at(self, start: int) -> Cells:
        """The sums of a period or step."""
        cells, past = self.periods.get(start), self.past.get(start)
        if cells is None or past is None:
            return cells or past or {}
        return past | cells

    def starts(self) -> list[int]:
        """The periods or steps that are kept."""
        return list(dict.fromkeys([*self.periods, *self.past]))  # in this order: steps move from one to the other

    def steps_in(self, period: Period) -> Iterable[int]:
        """The steps of a stretch of time that are kept, and maybe others of it."""
        span = range(period.start, period.end, _step(self.schedule))
        if len(span) < len(self.periods) + len(self.past):
            return span
        return sorted(start for start in self.starts() if start in period)

    def found(self, cells: Cells, scope: Scope) -> Amount:
        """What a scope has spent; the sum of all that share one, where it does."""
        amount = cells.get(scope)
        return cells.get(self.others, NOTHING) if amount is None else amount

    def at_once(self, scope: Scope, window: Period) -> Amount | None:
        """`in_window` for who does not hold the lock; None while sums are moved or shared, which is seldom."""
        if (self.begin, self.end) == (window.start, window.end) and not self.ahead and not self.sharing:
            return self.totals.get(scope, NOTHING)
        return None

    def in_window(self, scope: Scope, window: Period) -> Amount:
        """What a scope has spent in a window, with all it shares with."""
        if window.end < self.end or window.start < self.begin:
            amount = NOTHING
            for start in self.steps_in(window):
                amount = amount.plus(self.found(self.at(start), scope))
            return amount
        (amount,) = self.apart((scope,), window)
        for start in self.sharing:
            if start in window and scope not in self.periods[start]:
                amount = amount.plus(self.periods[start].get(self.others, NOTHING))
        return amount

    def apart(self, scopes: Iterable[Scope], window: Period) -> list[Amount]:
        """What is counted for each scope alone in the window that is kept, or in one that it is moved on to."""
        adding = [self.totals, *(self.ahead[start] for start in self._entering(window))]
        # Steps that were not moved out yet are still in the totals.
        taking = [self.future, *(self.periods[start] for start in self._steps(self.begin, window.start))]
        found = []
        for scope in scopes:
            amount = NOTHING
            for sign, several in ((1, adding), (-1, taking)):
                for cells in several:
                    if scope in cells:
                        amount = amount.plus(cells[scope], sign)
            found.append(amount)
        return found

    def _entering(self, window: Period) -> list[int]:
        """The steps whose sums are still in `future`, though a window holds them; the first may be half moved."""
        return [start for start in self._steps(self.end - _step(self.schedule), window.end) if start in self.ahead]

    def _steps(self, first: int, end: int) -> list[int]:
        if first >= end:
            return []
        step = _step(self.schedule)
        if (end - first) // step > len(self.periods):
            return [start for start in self.periods if first <= start < end]
        return [start for start in range(first, end, step) if start in self.periods]

    # -- writing --------------------------------------------------------------------------------------------------

    def put(self, start: int, scope: Scope, after: Amount | None) -> None:
        """Have another sum in a period or step that is kept, or with None no sum."""
        left = self.past.get(start)
        gone = left is not None and (start < self.begin or scope in left)
        cells = left if left is not None and gone else self.periods[start]
        before = cells.get(scope, NOTHING)
        if after is None:
            if cells.pop(scope, None) is not None:
                self.size -= 1
        else:
            self.size += scope not in cells
            cells[scope] = after
        if isinstance(self.schedule, Rolling) and not gone:
            self._put_step(start, scope, (after or NOTHING).plus(before, -1), gone=after is None)

    def _put_step(self, start: int, scope: Scope, more: Amount, *, gone: bool) -> None:
        if scope == self.others and scope:
            if gone:
                self.sharing.pop(start, None)
            else:
                self.sharing[start] = None
        if start >= self.end:  # first: `at_once` must not take it for spent
            self.size += _add(self.ahead.setdefault(start, {}), scope, more)
            self.size += _add(self.future, scope, more)
        self.size += _add(self.totals, scope, more)

    def open(self, start: int) -> bool:
        """Keep a period or step; False for a step that is kept no longer."""
        if isinstance(self.schedule, Rolling) and start < self.begin:
            if start < self.whole_from:
                return False
            self.past.setdefault(start, {})
        else:
            self.periods.setdefault(start, {})
        return True

    def replace(self, start: int, cells: Cells) -> Cells | None:
        """Have these sums in a calendar period; the ones before."""
        before = self.periods.get(start)
        self.periods[start] = cells
        self.size += len(cells) - len(before or ())
        return before

    def drop(self, start: int) -> Cells:
        """Keep a calendar period no longer; its sums."""
        cells = self.periods.pop(start)
        self.sure.discard(start)
        self.size -= len(cells)
        return cells

    # -- moving on ------------------------------------------------------------------------------------------------

    def advance(self, window: Period) -> bool:
        """Move the window on by some sums; whether it is there."""
        assert isinstance(self.schedule, Rolling)
        if self.end < window.end:
            step = _step(self.schedule)
            if self.end and self._enter(self.end - step):
                return False
            # The next step is entered, or all before the first one that waits.
            waiting = [start for start in self.ahead if start < window.end]
            self.end = min(waiting) + step if waiting else window.end
            return False
        if self.ahead and self._enter(self.end - _step(self.schedule)):
            return False
        if leaving := self._steps(self.begin, window.start):
            self._leave(min(leaving))
            return False
        self.begin = max(self.begin, window.start)
        return self._expired(window.start - self.schedule.memory_ns)

    def _enter(self, start: int) -> bool:
        """Move some sums of a step out of `future`; False when there are none."""
        ahead = self.ahead.get(start)
        if ahead is None:
            return False
        for _ in range(min(_AT_ONCE, len(ahead))):
            scope, amount = ahead.popitem()
            self.size -= 1
            self.size += _add(self.future, scope, amount, -1)
        if not ahead:
            del self.ahead[start]
        return True

    def _leave(self, start: int) -> None:
        """Move some sums of the window's first step into `past`."""
        cells = self.periods[start]
        past = self.past.setdefault(start, {})
        self.begin = start
        for _ in range(min(_AT_ONCE, len(cells))):
            scope, amount = cells.popitem()
            past[scope] = amount
            self.size += _add(self.totals, scope, amount, -1)
        if not cells:
            del self.periods[start]
            self.sharing.pop(start, None)
            self.begin = start + _step(self.schedule)

    def _expired(self, limit: int) -> bool:
        """Drop some sums of steps before `limit`; whether there are none left."""
        if limit <= self.whole_from:
            return True
        for start in [start for start in self.past if start < limit]:
            cells = self.past[start]
            for _ in range(min(_AT_ONCE, len(cells))):
                cells.popitem()
                self.size -= 1
            if cells:
                return False
            del self.past[start]
            self.sure.discard(start)
        self.whole_from = limit
        return True

    def forget_past(self) -> list[Cells]:
        """Keep no steps that the window has left; their sums."""
        past = {start: cells for start, cells in self.past.items() if start not in self.periods}
        self.past = {start: cells for start, cells in self.past.items() if start in self.periods}  # half moved
        self.size -= sum(map(len, past.values()))
        self.sure.difference_update(past)
        self.whole_from = max([self.whole_from, *(start + _step(self.schedule) for start in past)])
        return list(past.values())


def _step(schedule: Schedule) -> int:
    assert isinstance(schedule, Rolling)
    return schedule.step_ns


def _add(sums: Cells, scope: Scope, more: Amount, sign: int = 1) -> int:
    """Add to a sum, which is not kept when it is nothing; by how many there are more sums."""
    before = sums.get(scope)
    after = more if before is None and sign > 0 else (before or NOTHING).plus(more, sign)
    if after == NOTHING:
        return -1 if sums.pop(scope, None) is not None else 0
    sums[scope] = after
    return int(before is None)
