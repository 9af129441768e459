"""Budgets, decisions and leases as JSON and as headers. Amounts are decimal strings, times ISO 8601 with an offset."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from collector.budgets.decisions import BudgetState, Decision, iso
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit
from collector.model.budgets import Scope
from collector.model.leases import Lease
from collector.model.money import usd_text
from collector.web.budget_questions import HEADER

_PRINTABLE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


def amount(value: int, unit: Unit) -> str:
    """USD with 12 decimals, or whole tokens."""
    return str(value) if unit is Unit.TOKENS else usd_text(value)


def fraction(part: int, whole: int) -> str:
    """A part of a whole with six decimals, rounded down: 1.000000 is never said of less."""
    millionths = part * 1_000_000 // whole if whole else 1_000_000
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06d}"


def scope_json(rule: Rule, scope: Scope) -> dict[str, str]:
    return dict(zip(rule.per, scope, strict=True))


def period_json(rule: Rule, period: Period) -> dict[str, Any]:
    """`end` is when all starts anew; of a rolling window it is the end of its step, the first time spend may leave."""
    return {
        "start": iso(period.start, rule),
        "end": iso(period.end, rule),
        "timezone": rule.timezone_name,
        "rolling": not rule.schedule.renews,
    }


def state_json(state: BudgetState) -> dict[str, Any]:
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


def decision_json(decision: Decision) -> dict[str, Any]:
    budgets = [state_json(state) for state in decision.budgets]
    return {
        "allowed": decision.allowed,
        "reason": decision.reason.value if decision.reason else None,
        "message": decision.message or None,
        "budget": budgets[decision.budgets.index(decision.budget)] if decision.budget else None,
        "retry_after_seconds": decision.retry_after,
        "degraded": decision.degraded or None,
        "budgets": budgets,
    }


def lease_json(lease: Lease) -> dict[str, Any]:
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
    if decision.budget is None:
        return headers
    state = decision.budget
    unit = state.rule.unit
    values = scope_json(state.rule, state.scope).items()
    told = {
        "budget": _header(state.rule.name),
        "scope": ",".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in values),
        "unit": unit.value,
        "spend": amount(state.spend, unit),
        "reserved": amount(state.reserved, unit),
        "limit": amount(state.limit, unit),
        "remaining": amount(state.remaining, unit),
        "reset": iso(state.period.end, state.rule),
    }
    return headers | {HEADER + name: value for name, value in told.items() if value}


def _header(text: str) -> str:
    return quote(text, safe=_PRINTABLE)


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).isoformat()
