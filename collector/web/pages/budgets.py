"""Budgets: how they stand, where they are heading, who spent them, and what was sent about them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit
from collector.budgets.span_facts import Amount
from collector.model.money import usd
from collector.model.principal import Scope
from collector.spending.views import BudgetView, ScopeView
from collector.web.pages import formats
from collector.web.pages.page import Asked, Shown
from collector.webhooks.overview import Summary

_MAX_BUDGETS: Final = 200
_SCOPES: Final = 100
_DELIVERIES: Final = 200
_ORDER: Final = {"warn": 0, "error": 1, "ok": 2}  # what may still be acted on stands first
_EVENTS: Final = {
    "budget.threshold_reached": "reached a warning mark",
    "budget.breached": "breached",
    "budget.reset": "began again",
    "budget.forecast": "forecast to breach",
    "budget.unpriced": "calls without a price",
    "webhook.test": "test",
}


async def page(asked: Asked) -> Shown:
    return await asyncio.to_thread(_page, asked)


async def one(asked: Asked) -> Shown:
    return await asyncio.to_thread(_one, asked)


def _page(asked: Asked) -> Shown:
    views = asked.services.budgets.page(asked.principal, _MAX_BUDGETS).budgets
    cards = [_card(asked, view) for view in views if not view.rule.per]
    tables = [_table(asked, view) for view in views if view.rule.per]
    states = [{card["state"][1]} for card in cards] + [{row["state"][1] for row in each["rows"]} for each in tables]
    breached = [any(word.startswith("breached") for word in words) for words in states]
    context = {
        "cards": sorted(cards, key=lambda card: (_ORDER.get(card["state"][0], 3), -card["used"])),
        "tables": tables,
        "count": len(views),
        "near": sum("near cap" in words and not over for words, over in zip(states, breached, strict=True)),
        "breached": sum(breached),
        "degraded": asked.services.budgets.degraded(),
        "deliveries": _deliveries(asked, {view.rule.name for view in views}),
        "may_replay": asked.principal.may(Scope.ADMIN),
    }
    return Shown("budgets.html", "Budgets", "Budgets", context, ("views",))


def _one(asked: Asked) -> Shown:
    views = asked.services.budgets
    rule = views.rule(asked.principal, asked.path["name"])
    view = views.budget(asked.principal, rule, {}, _SCOPES, asked.query.get("after"))
    following = view.scopes.next if view.scopes else None
    stored = view.stored
    context = {
        "card": _card(asked, view),
        "table": _table(asked, view) if rule.per else None,
        "more": asked.without(after=following) if following else "",
        "match": [(name, ", ".join(values)) for name, values in view.match.items()],
        "breakdown": [
            (share.feature, share.model, _shown(rule, share.amount), share.amount.calls)
            for share in (stored.breakdown if stored else ())
        ],
        "history": [
            (_day(asked, period.start), _shown(rule, amount), amount.calls)
            for period, amount in _since_the_first_call(stored.history if stored else ())
        ],
        "degraded": views.degraded(),
        "deliveries": _deliveries(asked, {rule.name}),
        "may_replay": asked.principal.may(Scope.ADMIN),
    }
    return Shown("budget.html", rule.name, "Budgets", context, ("views",))


def _shown(rule: Rule, amount: Amount) -> str:
    """What calls add up to; a word where none of them has a price."""
    unpriced = amount.calls and amount.unpriced == amount.calls and not _spent(rule, amount)
    return "unpriced" if unpriced else _amount(rule, _spent(rule, amount))


def _since_the_first_call(history: Sequence[tuple[Period, Amount]]) -> Sequence[tuple[Period, Amount]]:
    """The newest period first, without those before anything was called."""
    called = [at for at, (_, amount) in enumerate(history) if amount.calls]
    return history[called[0] :][::-1] if called else ()


def _card(asked: Asked, view: BudgetView) -> dict[str, Any]:
    rule, scopes = view.rule, view.scopes
    own = next(iter(scopes.states), None) if scopes and not rule.per else None
    spend = own.state.spend if own else _spent(rule, scopes.spend) if scopes else 0
    limit = own.state.limit if own else rule.limit
    return {
        "name": rule.name,
        "about": _about(rule),
        "unavailable": view.unavailable,
        "spend": _amount(rule, spend),
        "limit": _amount(rule, limit),
        "used": spend / limit if limit else 1.0,
        "left": _left(asked, rule, spend, limit, view.period.end),
        "state": _state(own) if own else ("", ""),
        "bar": _bar(rule, spend, limit, own),
        "outlook": _outlook(asked, rule, own),
        "hard": rule.hard,
        "ends": _moment(asked, view.period.end),
        "per": rule.per,
        "scopes": scopes.count if scopes else 0,
    }


def _table(asked: Asked, view: BudgetView) -> dict[str, Any]:
    rule, scopes = view.rule, view.scopes
    rows = []
    for one_view in scopes.states if scopes else ():
        state = one_view.state
        rows.append(
            {
                "scope": " · ".join(value or "(none)" for value in state.scope),
                "spend": _amount(rule, state.spend),
                "limit": _amount(rule, state.limit),
                "bar": _bar(rule, state.spend, state.limit, one_view),
                "used": formats.percent(state.spend / state.limit) if state.limit else "",
                "state": _state(one_view),
                "reaches": _reaches(asked, one_view),
                "unpriced": state.unpriced,
            }
        )
    return {
        "name": rule.name,
        "about": _about(rule),
        "per": " · ".join(rule.per),
        "rows": rows,
        "unavailable": view.unavailable,
        "more": (scopes.count if scopes else 0) - len(rows),
    }


def _about(rule: Rule) -> str:
    match = ", ".join(f"{name} {' or '.join(values)}" for name, values in rule.match.items())
    warns = " and ".join(formats.percent(float(line)).replace(".0 ", " ") for line in rule.warn_at)
    parts = [match or "every call", f"{rule.period_name}, {rule.timezone_name}", "hard" if rule.hard else "soft"]
    return " · ".join([*parts, *([f"warns at {warns}"] if warns else [])])


def _state(view: ScopeView) -> tuple[str, str]:
    """A class and words. Only hard budgets refuse."""
    state = view.state
    if state.spend >= state.limit:
        return "error", "breached, blocked" if state.rule.hard else "breached"
    first = min(state.rule.warn_at, default=Decimal(1))
    if state.spend >= first * state.limit:
        return "warn", "near cap"
    return "ok", "ok"


def _bar(rule: Rule, spend: int, limit: int, view: ScopeView | None) -> dict[str, Any]:
    """Parts of 100: what is spent, what the forecast adds, and where the warning marks are."""
    used = min(100 * spend / limit, 100.0) if limit else 100.0
    outlook = view.forecast if view else None
    ahead = min(100 * outlook.total / limit, 100.0) if outlook and limit else used
    kind = _state(view)[0] if view else "ok"
    return {
        "kind": {"warn": "warn-fill", "error": "failed-fill"}.get(kind, "ink"),
        "used": f"{used:.2f}%",
        "ahead_x": f"{used:.2f}%",
        "ahead": f"{max(ahead - used, 0):.2f}%",
        "marks": [
            (f"{100 * float(line):.2f}%", formats.percent(float(line)).replace(".0 ", " ")) for line in rule.warn_at
        ],
    }


def _outlook(asked: Asked, rule: Rule, view: ScopeView | None) -> tuple[str, str, str] | None:
    """A sentence in three parts, of which the middle one matters."""
    if view is None:
        return None
    state = view.state
    if state.spend >= state.limit:
        end = _moment(asked, state.period.end)
        refused = "New runs are refused" if rule.hard else "The limit is reached"
        until = " It opens again on " if rule.schedule.renews else " Spend leaves the window from "
        return "", refused, f".{until}{end}."
    if view.forecast is None:
        return None
    total = _amount(rule, view.forecast.total)
    if view.forecast.breach_ns is None:
        return f"At this pace it ends the period at {total}, ", "under the limit", "."
    breach = _moment(asked, view.forecast.breach_ns)
    return "At this pace it reaches the limit ", f"on {breach}", f", and ends the period at {total}."


def _reaches(asked: Asked, view: ScopeView) -> str:
    if view.state.spend >= view.state.limit:
        return "reached"
    if view.forecast is None or view.forecast.breach_ns is None:
        return "not in this period"
    return _moment(asked, view.forecast.breach_ns)


def _left(asked: Asked, rule: Rule, spend: int, limit: int, end: int) -> str:
    away = formats.duration(max(end - asked.now, 0))
    to_go = f"{away} to go" if rule.schedule.renews else f"the window moves on in {away}"
    if spend > limit:
        return f"{_amount(rule, spend - limit)} over, {to_go}"
    return f"{_amount(rule, limit - spend)} left, {to_go}"


def _spent(rule: Rule, amount: Any) -> int:
    return int(amount.tokens if rule.unit is Unit.TOKENS else amount.pico)


def _amount(rule: Rule, value: int) -> str:
    return (
        f"{formats.count(value)} tokens"
        if rule.unit is Unit.TOKENS
        else formats.money(usd(value), 2 if value >= 10**12 else None)
    )


def _moment(asked: Asked, ns: int) -> str:
    at = formats.moment(ns, asked.zone)
    return f"{at:%a} {at.day} {at:%b %H:%M} {formats.zone_name(at)}"


def _day(asked: Asked, ns: int) -> str:
    at: datetime = formats.moment(ns, asked.zone)
    return f"{at.day} {at:%b %Y %H:%M}"


def _deliveries(asked: Asked, names: set[str]) -> Sequence[Mapping[str, Any]] | None:
    """Those about budgets that may be seen; None where nothing is known of webhooks."""
    if asked.services.deliveries is None:
        return None
    latest = [one for one in asked.services.deliveries.latest(_DELIVERIES) if one.budget in names]
    return [_delivery(asked, one) for one in latest[:50]]


def _delivery(asked: Asked, one: Summary) -> dict[str, Any]:
    state = {"delivered": "ok", "failed": "error", "disabled": "error"}.get(one.state, "warn")
    words = one.state
    if one.state == "pending" and one.attempts:
        words = f"retrying, next {formats.short_time(one.next_at, asked.now, asked.zone)}"
    return {
        "time": formats.short_time(one.queued_at, asked.now, asked.zone),
        "full_time": formats.full_time(one.queued_at, asked.zone),
        "budget": one.budget,
        "event": _EVENTS.get(one.type, one.type),
        "endpoint": one.endpoint,
        "state": (state, words),
        "attempts": one.attempts,
        "answer": str(one.status or one.error or ""),
        "id": one.event_id,
    }
