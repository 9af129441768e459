"""How budgets stand, where they are heading, what spent them, and how periods before went: for one who asks.

A budget may be shared by projects. Who is not `admin` sees sums that others have a part in only where calls of the own
project count too, and nothing else of others: neither their values nor the limits of these.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.budgets.decisions import BudgetState, period_at
from collector.budgets.forecast import Forecast, forecast
from collector.budgets.periods import Period
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.budgets.views import Place, Share, StoredSpend, page, periods_before, selected
from collector.errors import Reason, Rejected, Unavailable
from collector.model.budgets import Scope as Values
from collector.model.clock import Clock
from collector.model.principal import Principal, Scope
from collector.spending.enforcement import Enforcement

_SCOPES_SHOWN = 5  # of each budget in the list
_SHARES = 10
_PERIODS = 12
_MAX_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class ScopeView:
    """How a budget stands for one scope. A rolling window has no forecast: no end that its spend is heading for."""

    state: BudgetState
    forecast: Forecast | None


@dataclass(frozen=True, slots=True)
class ScopesView:
    """The scopes that the caller may see: their limits, their sum, their count, and one page of them."""

    limits: Sequence[tuple[Values, int]]
    spend: Amount
    count: int
    states: Sequence[ScopeView]
    next: str | None


@dataclass(frozen=True, slots=True)
class StoredView:
    """What only the store knows: who spent the current period, and the periods before, oldest first."""

    breakdown: Sequence[Share]
    history: Sequence[tuple[Period, Amount]]


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget. `scopes` and `stored` are None while the store does not answer, and `unavailable` then says why."""

    rule: Rule
    match: Mapping[str, Sequence[str]]
    period: Period
    scopes: ScopesView | None
    stored: StoredView | None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetPage:
    budgets: Sequence[BudgetView]
    next: str | None


class BudgetViews:
    """Blocking: call it from threads."""

    def __init__(self, enforcement: Enforcement, stored: StoredSpend, clock: Clock) -> None:
        self._enforcement = enforcement
        self._stored = stored
        self._clock = clock

    def degraded(self) -> str | None:
        """Why spend is not wholly known, in a sentence."""
        return self._enforcement.degraded() or None

    def page(self, principal: Principal, limit: int, after: str | None = None) -> BudgetPage:
        """The next `limit` budgets in the order of the settings, each with its tightest scopes.

        Raises Rejected(MALFORMED) when no budget that the caller may see is called `after`.
        """
        rules = self._visible(principal)
        if after is not None:
            rules = rules[_position(rules, after) + 1 :]
        now = self._clock.time_ns()
        shown = [self._budget(rule, principal, {}, now, _SCOPES_SHOWN) for rule in rules[:limit]]
        return BudgetPage(shown, rules[limit - 1].name if len(rules) > limit else None)

    def rule(self, principal: Principal, name: str) -> Rule:
        """Raises Rejected(NOT_FOUND), also for a budget that the caller may not see."""
        rule = next((rule for rule in self._visible(principal) if rule.name == name), None)
        if rule is None:
            shown = name if len(name) <= _MAX_NAME_LENGTH else name[:_MAX_NAME_LENGTH] + "..."
            raise Rejected(Reason.NOT_FOUND, f"No budget of project {principal.project} is called {shown!r}.")
        return rule

    def budget(
        self, principal: Principal, rule: Rule, where: Mapping[str, str], limit: int, after: str | None = None
    ) -> BudgetView:
        """A budget with the next `limit` of its scopes that have the values of `where`, by names of its `per`.

        Raises Rejected(MALFORMED) for an `after` that is no `next` of this budget.
        """
        place = None if after is None else _place(rule, after)
        return self._budget(rule, principal, where, self._clock.time_ns(), limit, place)

    def _visible(self, principal: Principal) -> list[Rule]:
        project = _only(principal)
        return [rule for rule in self._enforcement.rules.rules if not project or rule.visible_to(project)]

    def _budget(
        self,
        rule: Rule,
        principal: Principal,
        where: Mapping[str, str],
        now: int,
        limit: int,
        after: Place | None = None,
    ) -> BudgetView:
        project, where = _only(principal), rule.resolved(where)
        if project:
            where = {**where, "project": project}
        period, match = period_at(rule, now), _match(rule, project)
        try:
            seen = self._seen(rule, project, period)
        except Unavailable as error:
            return BudgetView(rule, match, period, None, None, str(error))
        scopes = self._scopes(rule, project, where, now, limit, after, seen)
        try:
            return BudgetView(rule, match, period, scopes, self._from_the_store(rule, project, where, period))
        except Unavailable as error:
            return BudgetView(rule, match, period, scopes, None, str(error))

    def _seen(self, rule: Rule, project: str, period: Period) -> Callable[[Values], bool]:
        """Which scopes a project (all with "") may see: of a shared budget, those in which calls of the project count.

        Raises Unavailable: only the store knows whose they are.
        """
        if not project or not rule.shared or not rule.per:
            return lambda _: True
        return frozenset(self._stored.scopes(rule, project, period)).__contains__

    def _scopes(
        self,
        rule: Rule,
        project: str,
        where: Mapping[str, str],
        now: int,
        limit: int,
        after: Place | None,
        seen: Callable[[Values], bool],
    ) -> ScopesView:
        everything = self._enforcement.scopes(rule, now)
        amounts = selected(rule, {scope: one for scope, one in everything.items() if seen(scope)}, where)
        places = page(rule, amounts, limit + 1, after)
        shown = places[:limit]
        return ScopesView(
            limits=_limits(rule, project, seen),
            spend=_total(amounts),
            count=len(amounts),
            states=[self._state(rule, one.scope, amounts[one.scope], now) for one in shown],
            next=_cursor(shown[-1]) if len(places) > limit else None,
        )

    def _state(self, rule: Rule, scope: Values, spent: Amount, now: int) -> ScopeView:
        state = self._enforcement.state(rule, scope, now, spent)
        if not rule.schedule.renews:
            return ScopeView(state, None)
        return ScopeView(state, forecast(state.spend, state.limit, state.period.start, state.period.end, now))

    def _from_the_store(self, rule: Rule, project: str, where: Mapping[str, str], period: Period) -> StoredView:
        before = periods_before(rule, period, _PERIODS)
        shares = self._stored.breakdown(rule, project, where, period, _SHARES)
        spent = self._stored.history(rule, where, before)
        return StoredView(shares, list(zip(before, spent, strict=True)))


def _only(principal: Principal) -> str:
    """The project whose calls a caller may see; "" for all."""
    return "" if principal.may(Scope.ADMIN) else principal.project


def _match(rule: Rule, project: str) -> dict[str, Sequence[str]]:
    """What a budget counts; of the projects it lists, only the caller's own."""
    return {name: [project] if project and name == "project" else list(values) for name, values in rule.match.items()}


def _limits(rule: Rule, project: str, seen: Callable[[Values], bool]) -> list[tuple[Values, int]]:
    limits = selected(rule, rule.limits, {"project": project} if project else {})
    return [(scope, limit) for scope, limit in sorted(limits.items()) if seen(scope)]


def _total(amounts: Mapping[Values, Amount]) -> Amount:
    total = NOTHING
    for one in amounts.values():
        total = total.plus(one)
    return total


def _position(rules: Sequence[Rule], name: str) -> int:
    names = [rule.name for rule in rules]
    if name not in names:
        raise Rejected(Reason.MALFORMED, f"after={name[:60]!r} is not the `next` of a page.")
    return names.index(name)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.spent, *place.scope]).encode()).decode().rstrip("=")


def _place(rule: Rule, text: str) -> Place:
    try:
        spent, *scope = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        spent, scope = None, []
    if type(spent) is not int or len(scope) != len(rule.per) or not all(isinstance(value, str) for value in scope):
        raise Rejected(Reason.MALFORMED, f"after={text[:60]!r} is not the `next` of a page.")
    return Place(spent, tuple(scope))
