"""The tools about money: what was spent, how budgets stand, and whether a run may begin."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.errors import Reason, Rejected
from collector.web.mcp.marking import NOTICE, Recorded
from collector.web.mcp.shortening import Amount, NextCursor, Position, Usd, limit_of, line, page, usd, whole
from collector.web.mcp.tool import Asker
from collector.web.operation import Input

_MAX_ROWS: Final = 100
_MAX_BUDGETS: Final = 20
_MAX_SCOPES: Final = 5
_MAX_SHARES: Final = 5


class GetSpend(Input):
    by: str = Field(
        "model",
        description="model, provider, service, agent, feature, user, day, or attribute.KEY such as attribute.team.id.",
    )
    since: str | None = Field(None, description="From this time on, ISO 8601; default: seven days ago.")
    until: str | None = Field(None, description="Before this time; default: now.")
    limit: Annotated[int, whole(1, _MAX_ROWS), limit_of(_MAX_ROWS)] = 20
    cursor: Position = Field(0, description="next_cursor of the page before.")


class SpendLine(TypedDict):
    value: Annotated[str, Field(description="Empty where spans do not state it.")]
    cost_usd: Usd
    priced_calls: int
    unpriced_calls: int
    input_tokens: int | None
    cache_read_tokens: int | None
    output_tokens: int | None


class SpendFound(Recorded):
    by: str
    total_usd: Annotated[str, Field(description="Of all rows, shown here or not.")]
    unpriced_calls: int
    rows_in_all: int
    rows: Annotated[Sequence[SpendLine], Field(description="Dearest first.")]
    next_cursor: NextCursor


async def get_spend(asker: Asker, wanted: GetSpend) -> SpendFound:
    found = await asker.ask("get_spend", query={"by": wanted.by, "since": wanted.since, "until": wanted.until})
    rows = found["spend"]
    shown, following = page([_spend(row) for row in rows], wanted.cursor, wanted.limit)
    total = sum((Decimal(row["cost"]) for row in rows if row["cost"] is not None), Decimal(0))
    return SpendFound(
        notice=NOTICE,
        by=found["by"],
        total_usd=usd(f"{total:f}") or "0",
        unpriced_calls=sum(row["unpriced_calls"] for row in rows),
        rows_in_all=len(rows),
        rows=shown,
        next_cursor=following,
    )


def _spend(row: Mapping[str, Any]) -> SpendLine:
    return SpendLine(
        value=line(row["value"]),
        cost_usd=usd(row["cost"]),
        priced_calls=row["priced_calls"],
        unpriced_calls=row["unpriced_calls"],
        input_tokens=row["input_tokens"],
        cache_read_tokens=row["cache_read_tokens"],
        output_tokens=row["output_tokens"],
    )


# -- budgets ----------------------------------------------------------------------------------------------------------


class GetBudgets(Input):
    name: str | None = Field(None, description="Only this budget.")
    limit: Annotated[int, whole(1, _MAX_BUDGETS), limit_of(_MAX_BUDGETS)] = 5
    cursor: str | None = Field(None, description="next_cursor of the page before.")


class ScopeLine(TypedDict):
    scope: Annotated[Mapping[str, str], Field(description="Values of per; empty without.")]
    limit: str
    spend: str
    reserved: str
    remaining: str
    forecast: Annotated[str | None, Field(description="Spend at the end of the period as it goes on.")]


class ShareLine(TypedDict):
    feature: str
    model: str
    spend: str


class BudgetLine(TypedDict):
    name: str
    unit: Literal["usd", "tokens"]
    limit: str
    spend: Annotated[str | None, Field(description="Of all scopes; null where it is not known now.")]
    hard: Annotated[bool, Field(description="Whether it refuses runs.")]
    match: Mapping[str, Sequence[str]]
    per: Sequence[str]
    period_start: str
    period_end: str
    scopes_in_all: int | None
    tightest: Annotated[Sequence[ScopeLine], Field(description=f"{_MAX_SCOPES} at most.")]
    dearest: Annotated[Sequence[ShareLine], Field(description=f"What spent it, {_MAX_SHARES} at most.")]


class BudgetsFound(Recorded):
    budgets: Sequence[BudgetLine]
    degraded: Annotated[str | None, Field(description="Why spend is not wholly known; null when it is.")]
    next_cursor: NextCursor


async def get_budgets(asker: Asker, wanted: GetBudgets) -> BudgetsFound:
    if wanted.name is not None:
        query = {"limit": _MAX_SCOPES}
        found = await asker.ask("get_budget", path={"name": wanted.name}, query=query)
        budgets, following = [found["budget"]], None
    else:
        found = await asker.ask("list_budgets", query={"limit": wanted.limit, "after": wanted.cursor})
        budgets, following = found["budgets"], found["next"]
    return BudgetsFound(
        notice=NOTICE,
        budgets=[_budget(budget) for budget in budgets],
        degraded=found["degraded"],
        next_cursor=following,
    )


def _budget(budget: Mapping[str, Any]) -> BudgetLine:
    return BudgetLine(
        name=budget["name"],
        unit=budget["unit"],
        limit=_plain(budget["limit"]),
        spend=None if budget["spend"] is None else _plain(budget["spend"]),
        hard=budget["hard"],
        match=budget["match"],
        per=budget["per"],
        period_start=budget["period"]["start"],
        period_end=budget["period"]["end"],
        scopes_in_all=budget["scopes"],
        tightest=[_scope(state) for state in (budget["states"] or ())[:_MAX_SCOPES]],
        dearest=[_share(share) for share in (budget["breakdown"] or ())[:_MAX_SHARES]],
    )


def _scope(state: Mapping[str, Any]) -> ScopeLine:
    forecast = state["forecast"]
    return ScopeLine(
        scope={name: line(value) for name, value in state["scope"].items()},
        limit=_plain(state["limit"]),
        spend=_plain(state["spend"]),
        reserved=_plain(state["reserved"]),
        remaining=_plain(state["remaining"]),
        forecast=_plain(forecast["total"]) if forecast else None,
    )


def _share(share: Mapping[str, Any]) -> ShareLine:
    return ShareLine(feature=line(share["feature"]), model=line(share["model"]), spend=_plain(share["spend"]))


def _plain(amount: str) -> str:
    return usd(amount) or "0"


class CheckBudget(Input):
    service: str | None = None
    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    feature: str | None = None
    user: str | None = None
    conversation: str | None = None
    environment: str | None = None
    estimate_usd: Amount = Field(None, description="The most the run may need, for example 0.25.")
    estimate_tokens: int | None = Field(None, description="The most it may need.")


class BudgetChecked(TypedDict):
    allowed: bool
    reason: str | None
    message: Annotated[str | None, Field(description="Why not, in a sentence.")]
    budget: Annotated[str | None, Field(description="The budget that refuses, or else the tightest.")]
    unit: str | None
    remaining: str | None
    limit: str | None
    period_end: str | None
    retry_after_seconds: int | None
    degraded: str | None


async def check_budget(asker: Asker, wanted: CheckBudget) -> BudgetChecked:
    if not wanted.model_dump(exclude_none=True):
        raise Rejected(Reason.MALFORMED, "Say what is about to run: at least one of service, agent, model, feature.")
    decision = await asker.ask("check_budgets", body=wanted.model_dump())
    state = decision["budget"] or {"period": {}}
    return BudgetChecked(
        allowed=decision["allowed"],
        reason=decision["reason"],
        message=decision["message"],
        budget=state.get("name"),
        unit=state.get("unit"),
        remaining=usd(state.get("remaining")),
        limit=usd(state.get("limit")),
        period_end=state["period"].get("end"),
        retry_after_seconds=decision["retry_after_seconds"],
        degraded=decision["degraded"],
    )
