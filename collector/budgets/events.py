"""The events that changed spend leads to. Pure: the same sums at the same time give the same events.

An event's id is made of the budget, the scope, the period and the line that was crossed, so that deciding again, after
a crash or in another replica, decides the same event.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from collector.budgets.forecast import forecast
from collector.budgets.ledger import Posted
from collector.budgets.ledger.account import OTHER
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit, Unpriced
from collector.budgets.span_facts import Amount, SpanFact
from collector.budgets.windows import Crossing
from collector.model.budgets import BudgetEvent, EventType, Scope, event_id
from collector.model.money import usd_text

# A forecast needs so much of the period and of the limit behind it.
FORECAST_FROM = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class State:
    """A budget's scope in a period, as it stands at `now` (Unix nanoseconds)."""

    rule: Rule
    scope: Scope
    period: Period
    spent: Amount
    now: int

    @property
    def value(self) -> int:
        """What counts against the limit: picodollars, or tokens."""
        return self.spent.pico if self.rule.unit is Unit.USD else self.spent.tokens

    @property
    def limit(self) -> int:
        return self.rule.limit_of(self.scope)

    @property
    def late(self) -> bool:
        """Whether the period has ended."""
        return self.period.end <= self.now

    def reached(self, fraction: Decimal) -> bool:
        """Whether spend is at or over a fraction of the limit. Nothing spent reaches nothing, not even a limit of 0."""
        return self.value > 0 and self.value >= self.limit * fraction


def lines_reached(state: State) -> Iterator[tuple[EventType, str]]:
    """Each line that spend is at or over: the fractions warned at, then the limit."""
    for fraction in state.rule.warn_at:
        if state.reached(fraction):
            yield EventType.THRESHOLD_REACHED, f"{fraction.normalize():f}"
    if state.reached(Decimal(1)):
        yield EventType.BREACHED, "1"


def events(state: State, posted: Posted | None) -> Iterator[BudgetEvent]:
    """Every event of a calendar period's state, recorded before or not. `posted` led to it."""
    period = state.period
    for kind, fraction in lines_reached(state):
        crossed = _crossing(state, Decimal(fraction), posted)
        yield _event(state, period, kind, fraction, {"fraction": fraction, "crossed_by": crossed})
    if state.rule.unpriced is not Unpriced.IGNORE and state.spent.unpriced:
        yield _event(state, period, EventType.UNPRICED, "", {"crossed_by": _by(posted.last if posted else None)})
    if outlook := _outlook(state):
        yield _event(state, period, EventType.FORECAST, "", outlook)


def crossed(state: State, crossing: Crossing, step_ns: int, posted: Posted | None) -> BudgetEvent:
    """A rolling window has crossed a line. The event is named by the first step over it: whoever sees it, and when."""
    first = crossing.over.start
    by = _by(posted.last if posted else None)
    more: dict[str, Any] = {"over_since": _local(state.rule, first), "crossed_by": by}
    if crossing.fraction:
        more["fraction"] = crossing.fraction
    return _event(state, Period(first, first + step_ns), crossing.line.type, crossing.fraction, more)


def reset(state: State, ended: Period) -> BudgetEvent:
    """The period that `state` is in has begun; in the `ended` one a line was crossed."""
    before = {"start": _local(state.rule, ended.start), "end": _local(state.rule, ended.end)}
    return _event(state, state.period, EventType.RESET, "", {"ended": before})


def _event(state: State, period: Period, kind: EventType, fraction: str, more: dict[str, Any]) -> BudgetEvent:
    rule, scope, start = state.rule, state.scope, period.start
    # Of another limit it is another line: after a raise, what is reached then is a new event.
    line = f"{fraction} of {state.limit}" if fraction else ""
    return BudgetEvent(
        id=event_id(kind, rule.name, scope, start, line),
        type=kind,
        budget=rule.name,
        created_ns=state.now,
        data=state_json(state) | more,
        webhooks=rule.webhooks,
        scope=scope,
        period_start=start,
        period_end=period.end,
        threshold=fraction,
        has_contributors=kind is EventType.RESET,
        project=_only_project(state),
    )


def _only_project(state: State) -> str:
    project = state.rule.project_of(state.scope)
    return "" if project == OTHER else project


def state_json(state: State) -> dict[str, Any]:
    """A state for people and programs: money as decimal strings, times with their zone."""
    rule = state.rule
    spent = _number(rule.unit, state.value)
    return {
        "budget": rule.name,
        "scope": dict(zip(rule.per, state.scope, strict=True)),
        "period": {
            "kind": rule.period_name,
            "start": _local(rule, state.period.start),
            "end": _local(rule, state.period.end),
            "timezone": rule.timezone_name,
        },
        "unit": rule.unit.value,
        "spend": spent,
        "limit": _number(rule.unit, state.limit),
        "spent_fraction": f"{Decimal(state.value) / state.limit:.4f}" if state.limit else None,
        "hard": rule.hard,
        "calls": state.spent.calls,
        "unpriced_calls": state.spent.unpriced,
        "late": state.late,
    }


def _number(unit: Unit, value: int) -> str:
    return usd_text(value) if unit is Unit.USD else str(value)


def _crossing(state: State, fraction: Decimal, posted: Posted | None) -> dict[str, str] | None:
    """The span whose amount crossed a line, where that is known: the first after which the sum was over it."""
    if posted is None:
        return None
    line = state.limit * fraction
    dollars = state.rule.unit is Unit.USD
    return _by(posted.crossing(lambda sum_: (sum_.pico if dollars else sum_.tokens) >= line))


def _by(call: SpanFact | None) -> dict[str, str] | None:
    if call is None:
        return None
    project, trace_id = call.trace
    return {"project": project, "trace_id": trace_id, "span_id": call.span_id}


def _outlook(state: State) -> dict[str, Any] | None:
    """The projection of a period that will be over its limit and is not yet."""
    if not state.rule.schedule.renews or state.late or state.reached(Decimal(1)):
        return None
    whole, elapsed = state.period.end - state.period.start, state.now - state.period.start
    if elapsed < whole * FORECAST_FROM or not state.reached(FORECAST_FROM):
        return None
    outlook = forecast(state.value, state.limit, state.period.start, state.period.end, state.now)
    if outlook is None or outlook.breach_ns is None:
        return None
    return {
        "projected": _number(state.rule.unit, outlook.total),
        "breach_at": _local(state.rule, outlook.breach_ns),
    }


def _local(rule: Rule, ns: int) -> str:
    """A time in the budget's zone, ISO 8601 with offset."""
    return datetime.fromtimestamp(ns // 1_000_000_000, ZoneInfo(rule.timezone_name)).isoformat()
