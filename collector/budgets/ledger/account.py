"""The sums of one budget, by start of the slot and by scope: what the ledger asks of every kind."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from collector.budgets.periods import Period
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope

# Scopes for which there is no room share one sum, so that whoever invents values cannot fill the memory.
OTHER = "(other)"

Cells = dict[Scope, Amount]


@dataclass(slots=True)
class Checks:
    """How an account was compared with the store.

    `seen` has, during a comparison, the amounts that each sum had since it began, by start and scope; `loads` counts
    what was taken over from the store meanwhile. `verified` are the slots that need no comparison: they were found
    right when late spans were hardly to be expected any more, and nothing was counted in them since.
    """

    seen: dict[tuple[int, Scope], list[Amount]] | None = None
    loads: int = 0
    verified: set[int] = field(default_factory=set)

    def counted(self, start: int, scope: Scope, before: Amount, after: Amount) -> None:
        """A sum has changed."""
        if self.seen is not None:
            self.seen.setdefault((start, scope), [before]).append(after)
        self.verified.discard(start)


class Account(ABC):
    """Takes the lock by itself, and holds it only for short.

    `fingerprint` is what the rule counts; `others` the scope whose sum is shared by those without room. So many more
    sums are `granted` without a look at the room there is. Sums before `complete_from` may be missing.
    """

    # How many sums are kept for each that the store has.
    copies: ClassVar[int]

    def __init__(self, fingerprint: str, others: Scope, lock: threading.Lock, checks: Checks) -> None:
        self.fingerprint = fingerprint
        self.others = others
        self.lock = lock
        self.checks = checks
        self.granted = 0

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of sums."""

    @property
    @abstractmethod
    def complete_from(self) -> int: ...

    # -- reading --------------------------------------------------------------------------------------------------

    @abstractmethod
    def starts(self) -> list[int]:
        """The slots that are kept."""

    def at(self, start: int) -> Cells | None:
        """The sums of a slot, not to be changed; None where it is not kept."""
        with self.lock:
            return self._at(start)

    @abstractmethod
    def _at(self, start: int) -> Cells | None:
        """`at` for who holds the lock."""

    @abstractmethod
    def copy(self, start: int) -> Cells:
        """The sums of a slot, for the caller to keep."""

    @abstractmethod
    def spend(self, scope: Scope, period: Period, *, ahead: bool = False) -> Amount:
        """What a scope, with all it shares a sum with, has spent in a calendar period or in a current window.

        With `ahead`, also what is dated after it.
        """

    @abstractmethod
    def scopes(self, period: Period, *, ahead: bool = False) -> Cells:
        """What each scope has spent in a calendar period or in a current window; `ahead` as for `spend`."""

    @abstractmethod
    def slots_in(self, period: Period) -> Iterable[int]:
        """The kept slots of a stretch of time, in order, and maybe others of it."""

    @abstractmethod
    def counted_as(self, scope: Scope, period: Period) -> Scope:
        """The scope whose sum a scope's spend is in."""

    def by_slot(self, scopes: Collection[Scope], period: Period) -> dict[Scope, list[tuple[int, Amount]]]:
        """What each of these scopes has spent in each slot of a stretch of time, without slots of nothing."""
        spent: dict[Scope, list[tuple[int, Amount]]] = {scope: [] for scope in scopes}
        for start in self.slots_in(period):
            with self.lock:  # for a slot at a time, so that others may read between
                cells = self._at(start) or {}
                fewer = cells if len(cells) < len(spent) and self.others not in cells else spent
                for scope in fewer:
                    amount = spend_of(cells, scope, self.others) if scope in spent else NOTHING
                    if amount != NOTHING:
                        spent[scope].append((start, amount))
        return spent

    # -- writing --------------------------------------------------------------------------------------------------

    @abstractmethod
    def is_loaded(self, start: int) -> bool:
        """Whether a slot has all its sums; else it is to be taken over from the store before anything is counted."""

    @abstractmethod
    def add(self, start: int, scope: Scope, amount: Amount) -> tuple[Amount, Amount]:
        """Count an amount in a slot; the sum before and after, NOTHING where the slot is kept no longer."""

    @abstractmethod
    def take_over(self, start: int, cells: Cells) -> None:
        """Have these sums in a slot."""

    @abstractmethod
    def advance(self, now: int) -> None:
        """Move on to this moment. Any thread may call it, and any may read meanwhile."""

    @abstractmethod
    def forget(self, now: int) -> None:
        """Drop the slots that are of no interest any more."""

    @abstractmethod
    def make_room(self, start: int, is_full: Callable[[], bool]) -> None:
        """Keep fewer sums of what is over when the slot `start` is counted, while `is_full`."""


def spend_of(cells: Cells, scope: Scope, others: Scope) -> Amount:
    """What a scope has spent; the sum of all that share one, where it does."""
    amount = cells.get(scope)
    return cells.get(others, NOTHING) if amount is None else amount


def copied(cells: Cells) -> Cells:
    """Sum by sum: `dict.copy` of a hundred thousand is one long step."""
    return {scope: amount for scope in list(cells) if (amount := cells.get(scope)) is not None}
