"""How many sums a ledger keeps, and which rule may have how many of them."""

from collections.abc import Iterable, Mapping

from collector.budgets.ledger.account import Account, Cells
from collector.budgets.ledger.folding import dearest
from collector.budgets.span_facts import Amount
from collector.model.budgets import Scope

# Scopes that share a sum are separated once so large a part of all room is free.
_FREE_PART = 10


class Room:
    """Room for `max_values` sums. Half of it is divided among the rules, the other half belongs to who comes first: a
    rule with many scopes leaves each other its part."""

    def __init__(self, max_values: int) -> None:
        self.max_values = max_values
        self._share = 0
        self._accounts: tuple[Account, ...] = ()

    def divide(self, accounts: Iterable[Account]) -> None:
        """Share the room among these accounts."""
        self._accounts = tuple(accounts)
        self._share = self.max_values // (2 * max(1, len(self._accounts)))

    def free(self, account: Account) -> int:
        """How many more sums an account may have."""
        beyond = sum(max(0, other.size - self._share) for other in self._accounts)
        common = self.max_values - self._share * len(self._accounts) - beyond
        return max(0, self._share - account.size) + common

    def place(self, account: Account, cells: Cells, scope: Scope, start: int) -> Scope:
        """Where a new scope is counted: by itself, or with others. Once some share a sum, all that come later do."""
        if account.others in cells:
            return account.others
        if account.granted:
            account.granted -= 1
            return scope
        free = self.free(account)
        if free <= 0:
            account.make_room(start, lambda: self.free(account) <= 0)
            free = self.free(account)
        account.granted = max(0, free) // (4 * len(self._accounts))
        return scope if free > 0 else account.others

    def revoke(self) -> None:
        """Have every account look at the room before it grows."""
        for account in self._accounts:
            account.granted = 0

    def bounded(self, account: Account, exact: Mapping[Scope, Amount], before: Cells) -> Cells:
        """What the store has of a slot, as far as there is room; `before` is what was kept of it."""
        if not exact:
            return {}
        max_cells = len(before) + self.free(account) // account.copies
        return dict(exact) if len(exact) <= max_cells else dearest(exact, before, max_cells, account.others)

    def can_separate(self, account: Account, starts: Iterable[int]) -> bool:
        """Whether scopes share a sum in one of these slots, though there is room."""
        if not account.others or self.free(account) * _FREE_PART <= self.max_values:
            return False
        return any(account.others in (account.at(start) or {}) for start in starts)
