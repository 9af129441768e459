"""What there is to see of budgets: their scopes by how much of the limit is spent, and what only the store knows."""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from collector.budgets.facts import Amount
from collector.budgets.periods import Calendar, Period
from collector.budgets.rules import Rule, Unit
from collector.model.budgets import Scope

_MILLION = 1_000_000


class Share(NamedTuple):
    """What calls of one feature with one model add up to; "" where none was said."""

    feature: str
    model: str
    amount: Amount


class StoredSpend(Protocol):
    """What the views ask the store. `where` fixes values of some of the rule's `per`; empty: the rule as a whole.

    Both block, and raise Unavailable when the store does not answer.
    """

    def breakdown(
        self, rule: Rule, project: str, where: Mapping[str, str], period: Period, limit: int
    ) -> Sequence[Share]:
        """The feature and model pairs that spent most, in the rule's unit, among the project's calls; most first."""

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
    return heapq.nsmallest(limit, (one for one in places if after is None or one > after))


def selected(rule: Rule, amounts: Mapping[Scope, Amount], where: Mapping[str, str]) -> dict[Scope, Amount]:
    """The scopes that have the values `where` says."""
    fixed = [(position, where[name]) for position, name in enumerate(rule.per) if name in where]
    if not fixed:
        return dict(amounts)
    return {scope: amount for scope, amount in amounts.items() if all(scope[at] == value for at, value in fixed)}


def periods_before(rule: Rule, period: Period, count: int) -> list[Period]:
    """The `count` periods before one, oldest first; of a rolling window, those that end where the next begins."""
    found: list[Period] = []
    schedule = rule.schedule
    for _ in range(count):
        last = found[-1] if found else period
        if isinstance(schedule, Calendar):
            found.append(schedule.before(last))
        else:
            found.append(Period(last.start - schedule.length_ns, last.start))
    return found[::-1]
