"""REST to look at budgets: how each stands, where it is heading, what spent it, and how periods before went.

A budget may be shared by projects. Who is not `admin` sees sums that others have a part in only where calls of the own
project count too, and nothing else of others: neither their values nor the limits of these.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.admit.auth import Gate
from collector.budgets.decisions import BudgetState, iso, period_at
from collector.budgets.forecast import forecast
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit
from collector.budgets.span_facts import NOTHING, Amount
from collector.budgets.views import Place, StoredSpend, page, periods_before, selected
from collector.errors import Reason, Rejected, Unavailable
from collector.model.budgets import Scope as Values
from collector.model.clock import Clock
from collector.model.principal import Principal, Scope
from collector.spending.enforcement import Enforcement
from collector.web.bodies import JsonAnswer, known_only
from collector.web.budget_answers import amount, period_json, scope_json, state_json

_BUDGETS_A_PAGE = 20
_SCOPES_A_PAGE = 100
_MAX_PAGE_SIZE = 1000
_SCOPES_SHOWN = 5  # of each budget in the list
_SHARES = 10
_PERIODS = 12
_MAX_NAME_LENGTH = 200


def routes(enforcement: Enforcement, stored: StoredSpend, gate: Gate, clock: Clock) -> list[Route]:
    """Views for tokens with the scope `traces:read`, of the rules that may count calls of the token's project.

    Of every rule and project for tokens with `admin`.
    """
    views = _Views(enforcement, stored, clock)

    async def listed(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        return JsonAnswer(await asyncio.to_thread(views.listed, principal, dict(request.query_params)))

    async def one(request: Request) -> Response:
        principal = gate.admit(request.headers.items(), Scope.TRACES_READ)
        name, query = request.path_params["name"], dict(request.query_params)
        return JsonAnswer(await asyncio.to_thread(views.one, principal, name, query))

    return [Route("/api/v1/budgets", listed), Route("/api/v1/budgets/{name:path}", one)]


class _Views:
    """Blocking: called from threads."""

    def __init__(self, enforcement: Enforcement, stored: StoredSpend, clock: Clock) -> None:
        self._enforcement = enforcement
        self._stored = stored
        self._clock = clock

    def listed(self, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of budgets in the order of the settings, each with its tightest scopes. `after` is a budget's name."""
        known_only(query, ("limit", "after"), "parameter")
        limit = _limit(query, _BUDGETS_A_PAGE)
        rules = self._visible(principal)
        names = [rule.name for rule in rules]
        if "after" in query:
            if query["after"] not in names:
                raise Rejected(Reason.MALFORMED, f"after={query['after'][:60]!r} is not the `next` of a page.")
            rules = rules[names.index(query["after"]) + 1 :]
        now = self._clock.time_ns()
        shown = [self._budget(rule, principal, {}, now, _SCOPES_SHOWN) for rule in rules[:limit]]
        return {
            "budgets": shown,
            "next": rules[limit - 1].name if len(rules) > limit else None,
            "degraded": self._enforcement.degraded() or None,
        }

    def one(self, principal: Principal, name: str, query: Mapping[str, str]) -> dict[str, Any]:
        """One budget with a page of its scopes; `NAME=value` of its `per` picks among them."""
        rule = self._rule(principal, name)
        known_only(query, ("limit", "after", *rule.per), "parameter")
        where = {name: query[name] for name in rule.per if name in query}
        limit = _limit(query, _SCOPES_A_PAGE)
        after = _place(rule, query["after"]) if "after" in query else None
        budget = self._budget(rule, principal, where, self._clock.time_ns(), limit, after)
        return {"budget": budget, "degraded": self._enforcement.degraded() or None}

    def _visible(self, principal: Principal) -> list[Rule]:
        project = _only(principal)
        return [rule for rule in self._enforcement.rules.rules if not project or rule.visible_to(project)]

    def _rule(self, principal: Principal, name: str) -> Rule:
        rule = next((rule for rule in self._visible(principal) if rule.name == name), None)
        if rule is None:
            told = name if len(name) <= _MAX_NAME_LENGTH else name[:_MAX_NAME_LENGTH] + "..."
            raise Rejected(Reason.NOT_FOUND, f"No budget of project {principal.project} is called {told!r}.")
        return rule

    def _budget(
        self,
        rule: Rule,
        principal: Principal,
        where: Mapping[str, str],
        now: int,
        limit: int,
        after: Place | None = None,
    ) -> dict[str, Any]:
        project = _only(principal)
        if project:
            where = {**where, "project": project}
        period = period_at(rule, now)
        told = {**_settings(rule, project), "period": period_json(rule, period)}
        try:
            seen = self._seen(rule, project, period)
        except Unavailable as error:
            unknown = ("limits", "spend", "scopes", "states", "next", "breakdown", "history")
            return {**told, **dict.fromkeys(unknown), "unavailable": str(error)}
        everything = self._enforcement.scopes(rule, now)
        amounts = selected(rule, {scope: one for scope, one in everything.items() if seen(scope)}, where)
        places = page(rule, amounts, limit + 1, after)
        more, shown = len(places) > limit, places[:limit]
        return {
            **told,
            "limits": _limits(rule, project, seen),
            "spend": amount(_value(rule, _total(amounts)), rule.unit),
            "scopes": len(amounts),
            "states": [self._state(rule, one.scope, amounts[one.scope], now) for one in shown],
            "next": _cursor(shown[-1]) if more else None,
            **self._from_the_store(rule, project, where, period),
        }

    def _seen(self, rule: Rule, project: str, period: Period) -> Callable[[Values], bool]:
        """Which scopes a project (all with "") may see: of a shared budget, those in which calls of the project count.

        Raises Unavailable: only the store knows whose they are.
        """
        if not project or not rule.shared or not rule.per:
            return lambda _: True
        return frozenset(self._stored.scopes(rule, project, period)).__contains__

    def _state(self, rule: Rule, scope: Values, spent: Amount, now: int) -> dict[str, Any]:
        state = self._enforcement.state(rule, scope, now, spent)
        return {**state_json(state), "forecast": _forecast_json(state, now)}

    def _from_the_store(self, rule: Rule, project: str, where: Mapping[str, str], period: Period) -> dict[str, Any]:
        """`breakdown` and `history`, null when the store does not answer, and then why."""
        before = periods_before(rule, period, _PERIODS)
        try:
            shares = self._stored.breakdown(rule, project, where, period, _SHARES)
            spent = self._stored.history(rule, where, before)
        except Unavailable as error:
            return {"breakdown": None, "history": None, "unavailable": str(error)}
        return {
            "breakdown": [
                {"feature": share.feature, "model": share.model, **_amount_json(rule, share.amount)} for share in shares
            ],
            "history": [
                {"start": iso(past.start, rule), "end": iso(past.end, rule), **_amount_json(rule, one)}
                for past, one in zip(before, spent, strict=True)
            ],
        }


def _only(principal: Principal) -> str:
    """The project whose calls a caller may see; "" for all."""
    return "" if principal.may(Scope.ADMIN) else principal.project


def _settings(rule: Rule, project: str) -> dict[str, Any]:
    """What a budget is; of the projects it lists, only the caller's own."""
    return {
        "name": rule.name,
        "unit": rule.unit.value,
        "limit": amount(rule.limit, rule.unit),
        "match": {
            name: [project] if project and name == "project" else list(values) for name, values in rule.match.items()
        },
        "per": list(rule.per),
        "shared": rule.shared,
        "warn_at": [str(line) for line in rule.warn_at],
        "hard": rule.hard,
        "unpriced": rule.unpriced.value,
    }


def _limits(rule: Rule, project: str, seen: Callable[[Values], bool]) -> list[dict[str, Any]]:
    limits = selected(rule, rule.limits, {"project": project} if project else {})
    return [
        {"scope": scope_json(rule, scope), "limit": amount(limit, rule.unit)}
        for scope, limit in sorted(limits.items())
        if seen(scope)
    ]


def _forecast_json(state: BudgetState, now: int) -> dict[str, str | None] | None:
    """None of a rolling window: it has no end that its spend is heading for."""
    rule, period = state.rule, state.period
    outlook = forecast(state.spend, state.limit, period.start, period.end, now)
    if outlook is None or not rule.schedule.renews:
        return None
    return {
        "total": amount(outlook.total, rule.unit),
        "breach": None if outlook.breach_ns is None else iso(outlook.breach_ns, rule),
    }


def _amount_json(rule: Rule, spent: Amount) -> dict[str, Any]:
    return {"spend": amount(_value(rule, spent), rule.unit), "calls": spent.calls, "unpriced_calls": spent.unpriced}


def _value(rule: Rule, spent: Amount) -> int:
    return spent.tokens if rule.unit is Unit.TOKENS else spent.pico


def _total(amounts: Mapping[Values, Amount]) -> Amount:
    total = NOTHING
    for one in amounts.values():
        total = total.plus(one)
    return total


def _limit(query: Mapping[str, str], default: int) -> int:
    text = query.get("limit", str(default))
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= _MAX_PAGE_SIZE or len(text) > 9:
        raise Rejected(Reason.MALFORMED, f"limit={text[:40]!r} is not a whole number from 1 to {_MAX_PAGE_SIZE}.")
    return int(text)


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.spent, *place.scope]).encode()).decode().rstrip("=")


def _place(rule: Rule, text: str) -> Place:
    try:
        spent, *scope = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        spent, scope = None, []
    if type(spent) is not int or len(scope) != len(rule.per) or not all(isinstance(value, str) for value in scope):
        raise Rejected(Reason.MALFORMED, f"after={text[:60]!r} is not the `next` of a page of this budget.")
    return Place(spent, tuple(scope))
