"""Comparing the sums with the store while both go on."""

from collections.abc import Iterable, Mapping

from collector.budgets.ledger.account import Account, Cells
from collector.budgets.ledger.folding import folded_like
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope


class Comparison:
    """Which slots need comparing, and whether what the store answered was right at some time since it was asked."""

    def __init__(self) -> None:
        self._accounts: Mapping[str, Account] = {}

    def use(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts

    def unverified(self, rule: Rule) -> list[int]:
        """The starts of the kept slots that are to be compared with the store, in order."""
        account = self._accounts[rule.name]
        return sorted(set(account.starts()).difference(account.checks.verified))

    def watch(self, rules: Iterable[Rule]) -> None:
        """Remember from now on what each sum was, for `is_or_was`; until `unwatch`."""
        for rule in rules:
            checks = self._accounts[rule.name].checks
            checks.seen, checks.loads = {}, 0

    def unwatch(self, rules: Iterable[Rule]) -> None:
        for rule in rules:
            if account := self._accounts.get(rule.name):
                account.checks.seen = None

    def verify(self, rule: Rule, starts: Iterable[int]) -> None:
        """These slots are over and were found right: unless they changed since `watch`, they are verified."""
        account = self._accounts[rule.name]
        with account.lock:
            changed = {start for start, _ in account.checks.seen or ()}
            kept = set(account.starts())
            account.checks.verified.update(start for start in starts if start in kept and start not in changed)

    def verify_none(self) -> None:
        """Have everything compared again."""
        for account in self._accounts.values():
            with account.lock:
                account.checks.verified.clear()

    def is_or_was(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> bool:
        """Whether each sum of a slot is what the store answered, or was it at some time since `watch`.

        The store answered at one of these times, nobody knows at which: rows are stored first and counted then.
        """
        account = self._accounts.get(rule.name)
        if account is None or account.checks.seen is None or account.checks.loads:
            return False
        if start < account.complete_from:
            return True  # it is not kept
        cells = account.at(start) or {}
        stored = folded_like(exact, cells, account.others)
        if any(not _was(account, cells, start, scope, amount) for scope, amount in stored.items()):
            return False
        return all(scope in stored or _was(account, cells, start, scope, NOTHING) for scope in list(cells))


def differing(exact: Mapping[Scope, Amount], cells: Cells, others: Scope) -> list[Scope]:
    """The scopes of which the store has another sum than `cells`; sharing a sum is not being wrong."""
    stored = folded_like(exact, cells, others)
    wrong = [scope for scope, amount in stored.items() if cells.get(scope, NOTHING) != amount]
    return wrong + [scope for scope, amount in list(cells.items()) if scope not in stored and amount != NOTHING]


def _was(account: Account, cells: Cells, start: int, scope: Scope, amount: Amount) -> bool:
    if cells.get(scope, NOTHING) == amount:
        return True
    seen = account.checks.seen
    return seen is not None and amount in seen.get((start, scope), ())
