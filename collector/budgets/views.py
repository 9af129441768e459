"""What there is to see of budgets: their scopes by how much of the limit is spent, and what only the store knows."""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from collector.budgets.ledger import OTHER, LedgerReader
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit, breakdown_of
from collector.budgets.span_facts import Amount
from collector.model.budgets import Scope

_MILLION = 1_000_000

_Value = TypeVar("_Value")


class Share(NamedTuple):
    """What calls of one feature with one model add up to; "" where a call has none."""

    feature: str
    model: str
    amount: Amount


class StoredSpend(Protocol):
    """What the views ask the store. `where` fixes values of the rule's `per`, or the project; empty: all of it.

    All block, and raise Unavailable when the store does not answer.
    """

    def scopes(self, rule: Rule, project: str, period: Period) -> Collection[Scope]:
        """The scopes in which calls of one project count."""

    def breakdown(
        self, rule: Rule, project: str, where: Mapping[str, str], period: Period, limit: int
    ) -> Sequence[Share]:
        """The feature and model pairs that spent most, in the rule's unit, most first; of all projects with ""."""

    def history(self, rule: Rule, where: Mapping[str, str], periods: Sequence[Period]) -> Sequence[Amount]:
        """What was spent in each of `periods`, which follow each other, oldest first."""


class Place(NamedTuple):
    """Where a scope stands among those of its rule: least comes first. Millionths of the limit, negated."""

    spent: int
    scope: Scope


def place(rule: Rule, scope: Scope, amount: Amount) -> Place:
    spent = amount.tokens if rule.unit is Unit.TOKENS else amount.pico
    return Place(-(spent * _MILLION // rule.limit_of(scope)), scope)


def page(rule: Rule, amounts: Mapping[Scope, Amount], limit: int, after: Place | None = None) -> list[Place]:
    """The next `limit` scopes, those first that have spent most of their limit."""
    places: Iterable[Place] = (place(rule, scope, amount) for scope, amount in amounts.items())
    return heapq.nsmallest(limit, (next_ for next_ in places if after is None or next_ > after))


def selected(rule: Rule, by_scope: Mapping[Scope, _Value], where: Mapping[str, str]) -> dict[Scope, _Value]:
    """The scopes that have the values of `where`; its names beside the rule's `per` are ignored."""
    fixed = [(position, where[name]) for position, name in enumerate(rule.per) if name in where]
    if not fixed:
        return dict(by_scope)
    return {
        scope: value for scope, value in by_scope.items() if all(scope[at] == fixed_value for at, fixed_value in fixed)
    }


def periods_before(rule: Rule, period: Period, count: int) -> list[Period]:
    """The `count` periods before one, oldest first; of a rolling window, those that end where the next begins."""
    periods = [period]
    for _ in range(count):
        periods.append(rule.schedule.before(periods[-1]))
    return periods[:0:-1]


def top_shares(rule: Rule, shares: Iterable[Share], limit: int) -> Sequence[Share]:
    """Those on which most was spent, in the rule's unit; most first."""

    def rank(share: Share) -> tuple[int, str, str]:
        spent = share.amount.tokens if rule.unit is Unit.TOKENS else share.amount.pico
        return -spent, share.feature, share.model

    return heapq.nsmallest(limit, shares, key=rank)


def shares_of(scopes: Collection[Scope], sums: Mapping[Scope, Amount]) -> dict[Scope, list[Share]]:
    """Of sums by scope, feature and model, those of each of these scopes."""
    shares: dict[Scope, list[Share]] = {scope: [] for scope in scopes}
    for (*of, feature, model), amount in sums.items():
        if (scope := tuple(of)) in shares:
            shares[scope].append(Share(feature, model, amount))
    return shares


def top(
    ledger: LedgerReader, rule: Rule, scopes: Collection[Scope], period: Period, limit: int
) -> Mapping[Scope, Sequence[Share]] | None:
    """The dearest features and models of scopes that have calls, by the rule's breakdown; None where it is not kept."""
    divided = breakdown_of(rule)
    if not ledger.has(divided) or not ledger.ready:
        return None
    sums = ledger.scopes(divided, period)
    if any(feature == OTHER for *_, feature, _ in sums):
        return None
    shares = shares_of(scopes, {scope: amount for scope, amount in sums.items() if amount.calls})
    if not all(shares.values()):
        return None
    return {scope: top_shares(rule, several, limit) for scope, several in shares.items()}
