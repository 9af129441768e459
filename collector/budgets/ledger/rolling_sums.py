"""The sums of a rolling window: those of its steps, and beside them what they add up to.

`totals` adds up every step from the window's first on, `future` those that begin at `end` or later. A scope's spend in
the window up to `end` is `totals` without `future`. The window moves on sum by sum, so that it may be read in between.
Steps that it has left are kept in `past` for some time, so that it is known what earlier windows held.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from collector.budgets.ledger.account import Cells, spend_of
from collector.budgets.periods import Period, Rolling
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope


@dataclass(slots=True)
class RollingSums:
    """For whoever holds the account's lock; each call is short. `size` is the number of sums.

    `others` is the scope that stands for those without room. Steps that are dropped leave `verified`.
    """

    schedule: Rolling
    others: Scope
    verified: set[int] = field(default_factory=set)
    steps: dict[int, Cells] = field(default_factory=dict)
    size: int = 0
    begin: int = 0  # of the first one of `steps`, of which some sums may be in `past` already
    end: int = 0  # of the window
    totals: Cells = field(default_factory=dict)
    future: Cells = field(default_factory=dict)
    ahead: dict[int, Cells] = field(default_factory=dict)  # the sums in `future`, by step
    sharing: dict[int, None] = field(default_factory=dict)  # those of `steps` in which scopes share a sum
    past: dict[int, Cells] = field(default_factory=dict)
    complete_from: int = 0  # of the first step that may not lack sums

    # -- reading --------------------------------------------------------------------------------------------------

    def find(self, start: int) -> Cells | None:
        """The sums of a step; None where it is not kept."""
        cells, past = self.steps.get(start), self.past.get(start)
        if past is None:
            return cells
        return past if cells is None else past | cells

    def at(self, start: int) -> Cells:
        """The sums of a step, nothing where it is not kept."""
        return self.find(start) or {}

    def starts(self) -> list[int]:
        """The steps that are kept."""
        return list(dict.fromkeys([*self.steps, *self.past]))  # in this order: they move from one to the other

    def steps_in(self, period: Period) -> Iterable[int]:
        """The kept steps of a stretch of time, in order, and maybe others of it."""
        span = range(period.start, period.end, self.schedule.step_ns)
        if len(span) < len(self.steps) + len(self.past):
            return span
        return sorted(start for start in self.starts() if start in period)

    def unlocked(self, scope: Scope, window: Period, *, ahead: bool = False) -> Amount | None:
        """`in_window` for who does not hold the lock; None while sums are moved or shared, which is seldom."""
        if (self.begin, self.end) == (window.start, window.end) and (ahead or not self.ahead) and not self.sharing:
            return self.totals.get(scope, NOTHING)
        return None

    def in_window(self, scope: Scope, window: Period, *, ahead: bool = False) -> Amount:
        """What a scope has spent in a window, with all it shares a sum with; with `ahead`, also after it."""
        if window.end < self.end or window.start < self.begin:
            amount = NOTHING
            for start in self._from(window) if ahead else self.steps_in(window):
                amount = amount.plus(spend_of(self.at(start), scope, self.others))
            return amount
        (amount,) = self.apart((scope,), window, ahead=ahead)
        for start in self.sharing:
            if start >= window.start and (ahead or start < window.end) and scope not in self.steps[start]:
                amount = amount.plus(self.steps[start].get(self.others, NOTHING))
        return amount

    def _from(self, window: Period) -> list[int]:
        return [start for start in self.starts() if start >= window.start]

    def apart(self, scopes: Iterable[Scope], window: Period, *, ahead: bool = False) -> list[Amount]:
        """What is counted for each scope alone in the window that is kept, or in one that it is moved on to."""
        # Steps that were not moved out yet are still in the totals.
        adding, taking = [self.totals], [self.steps[start] for start in self.steps_between(self.begin, window.start)]
        if not ahead:
            adding += (self.ahead[start] for start in self._entering(window))
            taking.append(self.future)
        amounts = []
        for scope in scopes:
            amount = NOTHING
            for sign, several in ((1, adding), (-1, taking)):
                for cells in several:
                    if scope in cells:
                        amount = amount.plus(cells[scope], sign)
            amounts.append(amount)
        return amounts

    def _entering(self, window: Period) -> list[int]:
        """The steps whose sums are still in `future`, though a window holds them; the first may be half moved."""
        first = self.end - self.schedule.step_ns
        return [start for start in self.steps_between(first, window.end) if start in self.ahead]

    def steps_between(self, first: int, end: int) -> list[int]:
        """Those of `steps` from `first` on and before `end`."""
        if first >= end:
            return []
        step = self.schedule.step_ns
        if (end - first) // step > len(self.steps):
            return [start for start in self.steps if first <= start < end]
        return [start for start in range(first, end, step) if start in self.steps]

    # -- writing --------------------------------------------------------------------------------------------------

    def open(self, start: int) -> bool:
        """Keep a step; False for one that is kept no longer."""
        if start >= self.begin:
            self.steps.setdefault(start, {})
            return True
        if start < self.complete_from:
            return False
        self.past.setdefault(start, {})
        return True

    def put(self, start: int, scope: Scope, after: Amount | None) -> None:
        """Have another sum in a step that is kept, or with None no sum."""
        past = self.past.get(start)
        has_left = past is not None and (start < self.begin or scope in past)
        cells = past if past is not None and has_left else self.steps[start]
        before = cells.get(scope, NOTHING)
        if after is None:
            if cells.pop(scope, None) is not None:
                self.size -= 1
        else:
            self.size += scope not in cells
            cells[scope] = after
        if not has_left:
            self._put_in_window(start, scope, (after or NOTHING).plus(before, -1), gone=after is None)

    def _put_in_window(self, start: int, scope: Scope, more: Amount, *, gone: bool) -> None:
        if scope == self.others and scope:
            if gone:
                self.sharing.pop(start, None)
            else:
                self.sharing[start] = None
        if start >= self.end:  # first: `unlocked` must not take it for spent
            self.size += add_to(self.ahead.setdefault(start, {}), scope, more)
            self.size += add_to(self.future, scope, more)
        self.size += add_to(self.totals, scope, more)

    def forget_past(self) -> list[Cells]:
        """Keep no steps that the window has left; their sums."""
        past = {start: cells for start, cells in self.past.items() if start not in self.steps}
        self.past = {start: cells for start, cells in self.past.items() if start in self.steps}  # half moved
        self.size -= sum(map(len, past.values()))
        self.verified.difference_update(past)
        self.complete_from = max([self.complete_from, *(start + self.schedule.step_ns for start in past)])
        return list(past.values())


def add_to(sums: Cells, scope: Scope, more: Amount, sign: int = 1) -> int:
    """Add to a sum, which is not kept when it is nothing; by how many there are more sums."""
    before = sums.get(scope)
    after = more if before is None and sign > 0 else (before or NOTHING).plus(more, sign)
    if after == NOTHING:
        return -1 if sums.pop(scope, None) is not None else 0
    sums[scope] = after
    return int(before is None)
