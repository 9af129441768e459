"""Budgets, decisions and leases as JSON and as headers. Amounts are decimal strings, times ISO 8601 with an offset."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from collector.budgets.decisions import BudgetState, Decision, iso
from collector.budgets.forecast import Forecast
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit
from collector.budgets.span_facts import Amount
from collector.model.budgets import Scope
from collector.model.leases import Lease
from collector.model.money import usd_text
from collector.spending.views import BudgetPage, BudgetView, ScopesView, ScopeView, StoredView
from collector.web.answers import (
    BudgetAnswer,
    BudgetsPage,
    DecisionAnswer,
    ForecastAnswer,
    LeaseText,
    PastPeriod,
    PeriodAnswer,
    ScopeAnswer,
    ShareAnswer,
    SpendAmount,
    StateAnswer,
    UnavailableBudget,
)
from collector.web.budget_inputs import HEADER

_PRINTABLE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


def amount(value: int, unit: Unit) -> str:
    """USD with 12 decimals, or whole tokens."""
    return str(value) if unit is Unit.TOKENS else usd_text(value)


def fraction(part: int, whole: int) -> str:
    """A part of a whole with six decimals, rounded down: less is never shown as 1.000000."""
    millionths = part * 1_000_000 // whole if whole else 1_000_000
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def scope_json(rule: Rule, scope: Scope) -> dict[str, str]:
    return dict(zip(rule.per, scope, strict=True))


def period_json(rule: Rule, period: Period) -> PeriodAnswer:
    """`end` is when all starts anew; of a rolling window it is the end of its step, the first time spend may leave."""
    return {
        "start": iso(period.start, rule),
        "end": iso(period.end, rule),
        "timezone": rule.timezone_name,
        "rolling": not rule.schedule.renews,
    }


def state_json(state: BudgetState) -> StateAnswer:
    rule = state.rule
    return {
        "name": rule.name,
        "scope": scope_json(rule, state.scope),
        "unit": rule.unit.value,
        "limit": amount(state.limit, rule.unit),
        "spend": amount(state.spend, rule.unit),
        "reserved": amount(state.reserved, rule.unit),
        "remaining": amount(state.remaining, rule.unit),
        "fraction": fraction(state.spend, state.limit),
        "unpriced_calls": state.unpriced,
        "hard": rule.hard,
        "period": period_json(rule, state.period),
    }


def page_json(page: BudgetPage, degraded: str | None) -> BudgetsPage:
    return {"budgets": [budget_json(view) for view in page.budgets], "next": page.next, "degraded": degraded}


def budget_json(view: BudgetView) -> BudgetAnswer | UnavailableBudget:
    rule, scopes, stored = view.rule, view.scopes, view.stored
    known: BudgetAnswer = {
        "name": rule.name,
        "unit": rule.unit.value,
        "limit": amount(rule.limit, rule.unit),
        "match": view.match,
        "per": list(rule.per),
        "shared": rule.shared,
        "warn_at": [str(line) for line in rule.warn_at],
        "hard": rule.hard,
        "unpriced": rule.unpriced.value,
        "period": period_json(rule, view.period),
        "limits": None,
        "spend": None,
        "scopes": None,
        "states": None,
        "next": None,
        "breakdown": None,
        "history": None,
    }
    if scopes:
        _add_scopes(known, rule, scopes)
    if stored:
        _add_stored(known, rule, stored)
    return known if view.unavailable is None else {**known, "unavailable": view.unavailable}


def _add_scopes(known: BudgetAnswer, rule: Rule, scopes: ScopesView) -> None:
    known["limits"] = [
        {"scope": scope_json(rule, scope), "limit": amount(limit, rule.unit)} for scope, limit in scopes.limits
    ]
    known["spend"] = amount(_value(rule, scopes.spend), rule.unit)
    known["scopes"] = scopes.count
    known["states"] = [_scope_state_json(one) for one in scopes.states]
    known["next"] = scopes.next


def _add_stored(known: BudgetAnswer, rule: Rule, stored: StoredView) -> None:
    known["breakdown"] = [
        ShareAnswer(feature=share.feature, model=share.model, **_amount_json(rule, share.amount))
        for share in stored.breakdown
    ]
    known["history"] = [
        PastPeriod(start=iso(past.start, rule), end=iso(past.end, rule), **_amount_json(rule, spent))
        for past, spent in stored.history
    ]


def _scope_state_json(view: ScopeView) -> ScopeAnswer:
    outlook = view.forecast
    return {**state_json(view.state), "forecast": _forecast_json(view.state.rule, outlook) if outlook else None}


def _forecast_json(rule: Rule, outlook: Forecast) -> ForecastAnswer:
    return {
        "total": amount(outlook.total, rule.unit),
        "breach": None if outlook.breach_ns is None else iso(outlook.breach_ns, rule),
    }


def _amount_json(rule: Rule, spent: Amount) -> SpendAmount:
    return {"spend": amount(_value(rule, spent), rule.unit), "calls": spent.calls, "unpriced_calls": spent.unpriced}


def _value(rule: Rule, spent: Amount) -> int:
    return spent.tokens if rule.unit is Unit.TOKENS else spent.pico


def decision_json(decision: Decision) -> DecisionAnswer:
    budgets = [state_json(state) for state in decision.budgets]
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value if decision.reason else None,
        "message": decision.message or None,
        "budget": budgets[decision.budgets.index(decision.budget)] if decision.budget else None,
        "retry_after_seconds": decision.retry_after,
        "degraded": decision.degraded or None,
        "unseen": decision.unseen or None,
        "budgets": budgets,
    }


def lease_json(lease: Lease) -> LeaseText:
    return {
        "id": lease.id,
        "state": lease.state.value,
        "said": dict(lease.stated),
        "amount_usd": amount(lease.pico, Unit.USD),
        "amount_tokens": amount(lease.tokens, Unit.TOKENS),
        "spent_usd": amount(lease.spent_pico, Unit.USD),
        "spent_tokens": amount(lease.spent_tokens, Unit.TOKENS),
        "held_usd": amount(lease.pico_left, Unit.USD),
        "held_tokens": amount(lease.tokens_left, Unit.TOKENS),
        "created": _utc(lease.created_ns),
        "expires": _utc(lease.expires_ns),
    }


def retry_header(decision: Decision) -> dict[str, str]:
    """`Retry-After` of a refusal."""
    return {} if decision.retry_after is None else {"retry-after": str(decision.retry_after)}


def decision_headers(decision: Decision) -> Mapping[str, str]:
    """The decision for gateways, of the budget that refuses or else of the tightest.

    Names and values are percent-encoded, keys of attributes too: a header can hold neither a newline nor an umlaut.
    """
    headers = retry_header(decision)
    if decision.reason:
        headers[f"{HEADER}reason"] = decision.reason.value
    if decision.degraded:
        headers[f"{HEADER}degraded"] = _header(decision.degraded)
    if decision.unseen:
        headers[f"{HEADER}unseen"] = _header(decision.unseen)
    if decision.budget is None:
        return headers
    state = decision.budget
    unit = state.rule.unit
    scope = scope_json(state.rule, state.scope).items()
    values = {
        "budget": _header(state.rule.name),
        "scope": ",".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in scope),
        "unit": unit.value,
        "spend": amount(state.spend, unit),
        "reserved": amount(state.reserved, unit),
        "limit": amount(state.limit, unit),
        "remaining": amount(state.remaining, unit),
        "reset": iso(state.period.end, state.rule),
    }
    return headers | {HEADER + name: value for name, value in values.items() if value}


def _header(text: str) -> str:
    return quote(text, safe=_PRINTABLE)


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).isoformat()
