"""Reading the ledger: from any thread, at any time."""

from collections.abc import Collection, Iterator

from collector.budgets.ledger.account import Account
from collector.budgets.periods import Period
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope


class LedgerReader:
    """The sums of every rule. `ready` once they were built from the store."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self.ready = False

    def has(self, rule: Rule) -> bool:
        """Whether there is an account of what this rule counts."""
        account = self._accounts.get(rule.name)
        return account is not None and account.fingerprint == rule.fingerprint

    def size(self) -> int:
        """How many sums are kept."""
        return sum(account.size for account in list(self._accounts.values()))

    def spend_in(self, rule: Rule, scope: Scope, period: Period, *, ahead: bool = False) -> Amount:
        """What was spent in a period, or in a window that ends now. Nothing where it is not kept.

        Of a scope that shares a sum with others it is what all of these have spent: never less than it spent itself.
        With `ahead`, what is dated after the period counts in it too.
        """
        account = self._accounts.get(rule.name)
        return NOTHING if account is None else account.spend(scope, period, ahead=ahead)

    def counted_as(self, rule: Rule, scope: Scope, period: Period) -> Scope:
        """The scope whose sum a scope's spend is in: itself, or the one that stands for those without room."""
        account = self._accounts.get(rule.name)
        return scope if account is None else account.counted_as(scope, period)

    def scopes(self, rule: Rule, period: Period, *, ahead: bool = False) -> dict[Scope, Amount]:
        """Every scope that spent something in a period, or in a window that ends now; `ahead` as for `spend_in`."""
        account = self._accounts.get(rule.name)
        return {} if account is None else account.scopes(period, ahead=ahead)

    def by_slot(self, rule: Rule, scopes: Collection[Scope], period: Period) -> dict[Scope, list[tuple[int, Amount]]]:
        """What each of these scopes has spent in each slot of a stretch of time, without slots of nothing."""
        account = self._accounts.get(rule.name)
        return {scope: [] for scope in scopes} if account is None else account.by_slot(scopes, period)

    def complete_from(self, rule: Rule) -> int:
        """A moment before which sums may be missing that were counted once."""
        account = self._accounts.get(rule.name)
        return 0 if account is None else account.complete_from

    def cells(self, rule: Rule, start: int) -> dict[Scope, Amount]:
        """The sums of one slot."""
        account = self._accounts.get(rule.name)
        return {} if account is None else account.copy(start)

    def starts(self, rule: Rule) -> Iterator[int]:
        """The starts of the slots that are kept."""
        yield from self._accounts[rule.name].starts()
