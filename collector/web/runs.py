"""Handlers of runs, traces, spend, and models without a price."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from collector.errors import Reason, Rejected
from collector.model.principal import Principal
from collector.query.listing import RunKey, RunsWanted
from collector.query.service import Dimension, Query
from collector.runs import read_spans, run_of
from collector.web.answers import (
    RunsPage,
    RunSummary,
    SpendAnswer,
    SpendRow,
    StoredTrace,
    UnpricedModel,
    UnpricedModels,
)
from collector.web.inputs import Instant, Page, Text
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.run import run_json
from collector.web.spans import rows_json, spans_json
from collector.web.times import rfc3339

_Row = TypeVar("_Row")
_DEFAULT_PERIOD = timedelta(days=7)
_RUN_KEY = re.compile(r"([0-9]{1,18}|[1-8][0-9]{18})-([0-9a-f]{32})\Z")  # nanoseconds that fit 63 bits


def _dimension(value: object) -> Dimension:
    try:
        return Dimension(str(value))
    except ValueError:
        known = ", ".join(Dimension)
        shown = str(value)[:60]
        raise Rejected(Reason.MALFORMED, f"Spend cannot be broken down by {shown!r}; choose one of {known}.") from None


def _run_key(value: object) -> RunKey | None:
    if not value:
        return None
    found = _RUN_KEY.match(str(value))
    if not found:
        raise Rejected(Reason.MALFORMED, f"after={str(value)[:60]!r} is not the `next` of a page of runs.")
    return RunKey(int(found[1]), found[2])


class TracePath(Input):
    trace_id: str = Field(description="32 hexadecimal digits.", json_schema_extra={"pattern": "^[0-9A-Fa-f]{32}$"})


class Period(Input):
    """A period; by default the last seven days."""

    since: Instant | None = Field(None, description="From this time on; default: seven days before `until`.")
    until: Instant | None = Field(None, description="Before this time; default: now.")

    def bounds(self) -> tuple[datetime, datetime]:
        until = self.until or datetime.now(UTC) + timedelta(minutes=1)
        return self.since or until - _DEFAULT_PERIOD, until


class RunsQuery(Period, Page):
    after: Annotated[RunKey | None, BeforeValidator(_run_key), WithJsonSchema({"type": "string"})] = Field(  # type: ignore[assignment]
        None, description="The `next` of the page before."
    )
    model: Text = Field(None, description="Only runs that called this model.")
    feature: Text = Field(None, description="Only runs of this feature.")

    def wanted(self) -> RunsWanted:
        since, until = self.bounds()
        return RunsWanted(since, until, self.limit, self.after, self.model or "", self.feature or "")


class SpendQuery(Period):
    by: Annotated[Dimension, BeforeValidator(_dimension)] = Field(Dimension.MODEL, description="The dimension.")


async def trace(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await asyncio.to_thread(_trace, services.query, call.principal, call.path.trace_id)


async def run(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await asyncio.to_thread(_run, services.query, call.principal, call.path.trace_id)


async def runs(services: Services, call: Call[None, RunsQuery, None]) -> Result:
    wanted = call.query.wanted()
    rows = rows_json(await asyncio.to_thread(services.query.runs, call.principal, wanted))
    more = f"{rows[-1]['Start']}-{rows[-1]['TraceId']}" if len(rows) == wanted.limit else None
    return answer(RunsPage(runs=[_summary(row) for row in rows], next=more))


async def spend(services: Services, call: Call[None, SpendQuery, None]) -> Result:
    since, until = call.query.bounds()
    by = call.query.by
    rows = rows_json(await asyncio.to_thread(services.query.spend, call.principal, by, since, until))
    return answer(SpendAnswer(by=by.value, spend=[_spend(row) for row in rows]))


async def unpriced(services: Services, call: Call[None, None, None]) -> Result:
    rows = rows_json(await asyncio.to_thread(services.query.unpriced, call.principal))
    models = [UnpricedModel(provider=row["Provider"], model=row["Model"], calls=row["Calls"]) for row in rows]
    return answer(UnpricedModels(models=models))


def _trace(query: Query, principal: Principal, trace_id: str) -> Result:
    spans = _found(spans_json(query.trace(principal, trace_id)), principal, trace_id)
    return answer(StoredTrace(trace_id=trace_id.lower(), spans=spans))


def _run(query: Query, principal: Principal, trace_id: str) -> Result:
    spans = _found(read_spans(query.run_spans(principal, trace_id)), principal, trace_id)
    return answer(run_json(trace_id.lower(), run_of(spans)))


def _found(spans: list[_Row], principal: Principal, trace_id: str) -> list[_Row]:
    if not spans:
        raise Rejected(Reason.NOT_FOUND, f"No span of trace {trace_id} is stored in project {principal.project}.")
    return spans


def _summary(row: Mapping[str, Any]) -> RunSummary:
    return RunSummary(
        project=row["Project"],
        trace_id=row["TraceId"],
        started_at=rfc3339(int(row["Start"])),
        started_at_unix_nano=row["Start"],
        ended_at=rfc3339(int(row["End"])),
        ended_at_unix_nano=row["End"],
        duration_nanoseconds=row["Duration"],
        spans=row["Spans"],
        errors=row["Errors"],
        llm_calls=row["LlmCalls"],
        tool_calls=row["ToolCalls"],
        input_tokens=row["InputTokens"],
        output_tokens=row["OutputTokens"],
        cost=row["Cost"],
        unpriced_calls=row["UnpricedCalls"],
        models=row["Models"],
        root_name=row["RootName"],
        service_name=row["ServiceName"],
        agent_name=row["AgentName"],
        feature=row["Feature"],
        user_id=row["UserId"],
        conversation_id=row["ConversationId"],
    )


def _spend(row: Mapping[str, Any]) -> SpendRow:
    return SpendRow(
        value=row["Value"],
        cost=row["Cost"],
        priced_calls=row["PricedCalls"],
        unpriced_calls=row["UnpricedCalls"],
        input_tokens=row["InputTokens"],
        output_tokens=row["OutputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
    )
