"""Counting: the ledger as its one writer has it."""

import threading
from collections.abc import Iterable, Mapping

from collector.budgets.ledger.account import OTHER, Account
from collector.budgets.ledger.calendar_account import CalendarAccount
from collector.budgets.ledger.comparison import Comparison, differing
from collector.budgets.ledger.reader import LedgerReader
from collector.budgets.ledger.rolling_account import RollingAccount
from collector.budgets.ledger.room import Room
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.budgets import Scope


class Ledger(LedgerReader):
    """The sums of every rule, written by one thread at a time. `comparison` compares them with the store.

    `max_values` sums are kept apart, of all rules, slots and scopes together; the scopes that come when there is no
    room share one sum a slot and rule, of the scope OTHER.
    """

    def __init__(self, max_values: int) -> None:
        super().__init__()
        self.comparison = Comparison()
        self._room = Room(max_values)
        self._lock = threading.Lock()

    def keep(self, rules: Iterable[Rule]) -> None:
        """Have an account for each of `rules` and for no other; a rule that counts the same calls keeps its own."""
        accounts = {rule.name: self._kept(rule) for rule in rules}
        self._room.divide(accounts.values())
        self.comparison.use(accounts)
        self._accounts = accounts

    def _kept(self, rule: Rule) -> Account:
        account = self._accounts.get(rule.name)
        return account if account and account.fingerprint == rule.fingerprint else new_account(rule, self._lock)

    def add(self, rule: Rule, scope: Scope, start: int, amount: Amount) -> tuple[Amount, Amount]:
        """Count an amount in the slot that begins at `start`; the sum there before and after.

        Both are NOTHING while the slot waits to be loaded.
        """
        account = self._accounts[rule.name]
        if not account.is_loaded(start):
            return NOTHING, NOTHING
        cells = account.at(start) or {}
        return account.add(start, scope if scope in cells else self._room.place(account, cells, scope, start), amount)

    def is_loaded(self, rule: Rule, start: int) -> bool:
        """Whether a slot has all its sums, so that something can be counted in it."""
        return self._accounts[rule.name].is_loaded(start)

    def load(self, rule: Rule, start: int, exact: Mapping[Scope, Amount]) -> list[Scope]:
        """Take over what the store has of a slot; the scopes whose sum was another."""
        account = self._accounts[rule.name]
        account.checks.loads += 1
        self._room.revoke()
        before = account.at(start)
        wrong = [] if before is None else differing(exact, before, account.others)
        account.take_over(start, self._room.bounded(account, exact, before or {}))
        return wrong

    def advance(self, now: int) -> None:
        """Move the windows on to this moment. Any thread may call it, and any may read meanwhile."""
        for account in list(self._accounts.values()):
            account.advance(now)

    def forget(self, rules: Iterable[Rule], now: int) -> None:
        """Drop the steps that windows have left, and all periods before the last one: late spans load them again."""
        for rule in rules:
            self._accounts[rule.name].forget(now)

    def can_separate(self, rule: Rule, starts: Iterable[int]) -> bool:
        """Whether scopes share a sum in one of these slots, though there is room: `load` separates them."""
        return self._room.can_separate(self._accounts[rule.name], starts)


def new_account(rule: Rule, lock: threading.Lock) -> Account:
    """An account of a rule, of the kind of its schedule."""
    fingerprint, others = rule.fingerprint, (OTHER,) * len(rule.per)
    return rule.schedule.dispatch(
        lambda calendar: CalendarAccount(fingerprint, calendar, others, lock),
        lambda rolling: RollingAccount(fingerprint, rolling, others, lock),
    )
