"""Handlers of one run or trace, spend, and models without a price."""

import asyncio
from collections.abc import Collection, Mapping, Sized
from typing import Any, TypeVar

import pyarrow.compute as pc
from pydantic import Field

from collector.errors import Reason, Rejected
from collector.model.capture import strictest_word
from collector.model.principal import Principal
from collector.query.evaluations import EvaluationsWanted
from collector.query.service import MAX_CELLS, MAX_RUNS, ByAttribute, Dimension, Query, Split
from collector.runs import read_spans, run_of
from collector.runs.columns import counts
from collector.web.answers import (
    SpendAnswer,
    SpendCell,
    SpendRow,
    SpendTable,
    StoredTrace,
    UnpricedModel,
    UnpricedModels,
)
from collector.web.csv_text import CSV_TYPE, csv_text
from collector.web.evaluation_answers import evaluation_json
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.run import run_json
from collector.web.run_inputs import SpendQuery, SpendTableQuery, TableFormat
from collector.web.spans import rows_json, spans_json

_Rows = TypeVar("_Rows", bound=Sized)


class TracePath(Input):
    trace_id: str = Field(description="32 hexadecimal digits.", json_schema_extra={"pattern": "^[0-9A-Fa-f]{32}$"})


async def trace(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await asyncio.to_thread(_trace, services.query, call.principal, call.path.trace_id)


async def run(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await asyncio.to_thread(_run, services, call.principal, call.path.trace_id)


async def spend(services: Services, call: Call[None, SpendQuery, None]) -> Result:
    since, until = call.query.bounds()
    by = call.query.by
    rows = rows_json(
        await asyncio.to_thread(services.query.spend, call.principal, by, since, until, call.query.purpose)
    )
    return answer(SpendAnswer(by=by.value, spend=[_spend(row) for row in rows]))


async def spend_table(services: Services, call: Call[None, SpendTableQuery, None]) -> Result:
    since, until = call.query.bounds()
    by, zone, split = call.query.by, call.query.zone, call.query.split.value
    dimension = by if isinstance(by, ByAttribute) else Dimension(by.value)
    parts = [Split(part) for part in split.split(",")]
    asked = dimension, since, until, zone, parts, call.query.purpose
    table = await asyncio.to_thread(services.query.spend_matrix, call.principal, *asked)
    cells = [_cell(row, parts) for row in rows_json(table)]
    if call.query.format is TableFormat.CSV:
        headers = {"content-disposition": 'attachment; filename="spend.csv"'}
        return Result(csv_text(list(SpendCell.__annotations__), cells), headers=headers, media_type=CSV_TYPE)
    return answer(SpendTable(by=by.value, split=split, zone=zone, cells=cells, truncated=len(cells) == MAX_CELLS))


async def unpriced(services: Services, call: Call[None, None, None]) -> Result:
    rows = rows_json(await asyncio.to_thread(services.query.unpriced, call.principal))
    models = [UnpricedModel(provider=row["Provider"], model=row["Model"], calls=row["Calls"]) for row in rows]
    return answer(UnpricedModels(models=models))


def _trace(query: Query, principal: Principal, trace_id: str) -> Result:
    spans = found(spans_json(query.trace(principal, trace_id)), principal, trace_id)
    return answer(StoredTrace(trace_id=trace_id.lower(), spans=spans))


def _run(services: Services, principal: Principal, trace_id: str) -> Result:
    query = services.query
    stored = query.run_spans(principal, trace_id)
    spans = found(read_spans(stored), principal, trace_id)
    expired = bool(pc.any(stored.column("ContentExpired")).as_py())
    policy = strictest_word(stored.column("CapturePolicy").unique().to_pylist())
    received = max(counts(stored.column("ReceivedAt")), default=0)
    wanted = EvaluationsWanted(trace_ids=[trace_id], limit=MAX_RUNS)
    judged = query.evaluations(principal, wanted)
    doubted = services.calibration.uncalibrated(query, principal, judged)
    document = run_json(
        trace_id.lower(),
        run_of(spans),
        content_expired=expired,
        capture_policy=policy,
        evaluations=[evaluation_json(one, received, doubted) for one in judged],
    )
    return answer(document)


def found(spans: _Rows, principal: Principal, trace_id: str) -> _Rows:
    """`spans`, which are some. Raises Rejected(NOT_FOUND)."""
    if not len(spans):
        raise Rejected(Reason.NOT_FOUND, f"No span of trace {trace_id} is stored in project {principal.project}.")
    return spans


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


def _cell(row: Mapping[str, Any], split: Collection[Split]) -> SpendCell:
    return SpendCell(
        value=row["Value"],
        model=row["Model"] if Split.MODEL in split else None,
        day=row["Day"] if Split.DAY in split else None,
        cost=row["Cost"],
        priced_calls=row["PricedCalls"],
        unpriced_calls=row["UnpricedCalls"],
        input_tokens=row["InputTokens"],
        output_tokens=row["OutputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
    )
