"""Handlers of the spans of one run: in columns, one whole, and its texts by byte range."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import Field, JsonValue

from collector.enrich.receipt import Line, Receipt, rate_text, receipt
from collector.errors import Reason, Rejected
from collector.model.money import decimal_text, usd_text
from collector.model.principal import Principal
from collector.query.service import Query
from collector.query.spans import MAX_SPANS, Side
from collector.runs.waterfall import Waterfall, waterfall
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.ranges import Wanted, wanted_range
from collector.web.runs import TracePath, found
from collector.web.span_answers import (
    PriceEntryAnswer,
    ReceiptAnswer,
    ReceiptLine,
    RunSpans,
    SpanAnswer,
    SpanColumns,
    SpanError,
    SpanEvent,
    SpanLink,
    SpanPlace,
    SpanText,
)
from collector.web.times import rfc3339

BYTES = "application/octet-stream"
_SPAN_ID: dict[str, JsonValue] = {"pattern": "^[0-9A-Fa-f]{16}$"}
_WHOLE = 2**62
_MAX_SHOWN_KEY = 200


class SpanIdPath(Input):
    span_id: str = Field(description="16 hexadecimal digits.", json_schema_extra=_SPAN_ID)


class SpanPath(SpanIdPath, TracePath):
    """A span of a run."""


class AttributePath(SpanPath):
    key: str = Field(description="The attribute's key.")


class RangeHeader(Input):
    range: str | None = Field(None, description="One range of bytes, for example `bytes=0-65535`.")


async def run_spans(services: Services, call: Call[TracePath, None, None]) -> Result:
    def read() -> Result:
        trace_id = call.path.trace_id
        run, more = waterfall_of(services.query, call.principal, trace_id)
        return answer(columns_json(trace_id.lower(), run, truncated=more))

    return await asyncio.to_thread(read)


def waterfall_of(query: Query, principal: Principal, trace_id: str) -> tuple[Waterfall, bool]:
    """A run, and whether it has more spans than MAX_SPANS, which are left out. Raises Rejected when there is none."""
    table = found(query.waterfall_spans(principal, trace_id), principal, trace_id)
    return waterfall(table.slice(0, MAX_SPANS)), table.num_rows > MAX_SPANS


async def span(services: Services, call: Call[SpanPath, None, None]) -> Result:
    def read() -> Result:
        rows = services.query.span(call.principal, call.path.trace_id, call.path.span_id).to_pylist()
        if not rows:
            raise no_span(call.path, call.principal.project)
        return answer(span_json(rows[0]))

    return await asyncio.to_thread(read)


async def find_span(services: Services, call: Call[SpanIdPath, None, None]) -> Result:
    span_id, project = call.path.span_id, call.principal.project
    trace_id = await asyncio.to_thread(services.query.run_of_span, call.principal, span_id)
    if trace_id is None:
        raise Rejected(Reason.NOT_FOUND, f"No span {span_id} is stored in project {project}.")
    return answer(SpanPlace(trace_id=trace_id, span_id=span_id.lower()))


async def span_input(services: Services, call: Call[SpanPath, None, None]) -> Result:
    return await asyncio.to_thread(_text, services, call, Side.INPUT, "")


async def span_output(services: Services, call: Call[SpanPath, None, None]) -> Result:
    return await asyncio.to_thread(_text, services, call, Side.OUTPUT, "")


async def span_attribute(services: Services, call: Call[AttributePath, None, None]) -> Result:
    return await asyncio.to_thread(_text, services, call, Side.ATTRIBUTE, call.path.key)


def no_span(path: SpanPath, project: str) -> Rejected:
    return Rejected(
        Reason.NOT_FOUND, f"No span {path.span_id} of trace {path.trace_id} is stored in project {project}."
    )


def _no_text(query: Query, call: Call[Any, None, None], path: SpanPath) -> Rejected:
    """What of it is missing: the attribute, or the span."""
    if isinstance(path, AttributePath) and query.span(call.principal, path.trace_id, path.span_id).num_rows:
        return Rejected(
            Reason.NOT_FOUND,
            f"Span {path.span_id} of trace {path.trace_id} has no attribute {path.key[:_MAX_SHOWN_KEY]!r}.",
        )
    return no_span(path, call.principal.project)


def _text(services: Services, call: Call[Any, None, None], side: Side, key: str) -> Result:
    """The bytes as they were stored, as a file: a browser that is shown it by a link keeps it and runs nothing."""
    path, asked = call.path, wanted_range(call.headers.get("range", ""))

    def read(first: int, length: int) -> tuple[bytes, int]:
        text = services.query.span_text(call.principal, path.trace_id, path.span_id, side, key, first, length)
        if text is None:
            raise _no_text(services.query, call, path)
        return text.part, text.size

    headers = {
        "accept-ranges": "bytes",
        "content-disposition": f'attachment; filename="{path.span_id}.{side.value}.txt"',
        "cache-control": "private, no-cache",
    }
    if asked is None:
        return Result(read(0, _WHOLE)[0], headers=headers, media_type=BYTES)
    return _part(read, asked, headers)


def _part(read: Callable[[int, int], tuple[bytes, int]], asked: Wanted, headers: Mapping[str, str]) -> Result:
    if asked.suffix is None:
        length = _WHOLE if asked.last is None else asked.last - asked.first + 1
        part, size = read(asked.first, length)
        place = asked.of(size)
    else:
        size = read(0, 0)[1]
        place = asked.of(size)
        part = read(*place)[0] if place else b""
    if place is None:
        return Result(b"", 416, {**headers, "content-range": f"bytes */{size}"}, BYTES)
    first, length = place
    return Result(part, 206, {**headers, "content-range": f"bytes {first}-{first + length - 1}/{size}"}, BYTES)


# -- columns ----------------------------------------------------------------------------------------------------------


class _Texts:
    """Texts by the number of their first use; the empty one is 0."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def numbers(self, values: Sequence[str]) -> list[int]:
        return [self._numbers.setdefault(value, len(self._numbers)) for value in values]

    @property
    def all(self) -> list[str]:
        return list(self._numbers)


def columns_json(trace_id: str, run: Waterfall, *, truncated: bool = False) -> RunSpans:
    spans, texts, start = [row.span for row in run.rows], _Texts(), run.start
    columns = SpanColumns(
        span_id=[span.span_id for span in spans],
        parent=[row.parent for row in run.rows],
        kind=texts.numbers([span.kind for span in spans]),
        name=texts.numbers([span.name for span in spans]),
        model=texts.numbers([span.response_model or span.request_model for span in spans]),
        tool=texts.numbers([span.tool_name for span in spans]),
        agent=texts.numbers([span.agent_name for span in spans]),
        start=[(span.start - start) // 1000 for span in spans],
        duration=[(span.end - start) // 1000 - (span.start - start) // 1000 for span in spans],
        input_tokens=[span.input_tokens for span in spans],
        output_tokens=[span.output_tokens for span in spans],
        cost=[None if span.cost is None else _short(span.cost) for span in spans],
    )
    return RunSpans(
        trace_id=trace_id,
        started_at=rfc3339(start),
        started_at_unix_nano=str(start),
        duration_nanoseconds=run.end - start,
        spans=len(spans),
        truncated=truncated,
        complete=run.complete,
        received_at=rfc3339(run.received),
        texts=texts.all,
        columns=columns,
        rounds=run.rounds,
        critical_path=run.critical_path,
        orphans=run.orphans,
        unpriced=[at for at, span in enumerate(spans) if span.span_id in run.unpriced],
        rolled_up=[at for at, span in enumerate(spans) if span.rolled_up],
        errors=[SpanError(row=at, message=run.messages.get(spans[at].span_id, "")) for at in run.errors],
    )


def _short(cost: Decimal) -> str:
    """Without the zeros at its end: nine of ten bytes of the column otherwise."""
    text = decimal_text(cost)
    return text.rstrip("0").rstrip(".") if "." in text else text


# -- one span ---------------------------------------------------------------------------------------------------------


def span_json(row: Mapping[str, Any]) -> SpanAnswer:
    start = row["Start"]
    return SpanAnswer(
        trace_id=row["TraceId"],
        span_id=row["SpanId"],
        parent_span_id=row["ParentSpanId"],
        name=row["SpanName"],
        kind=row["Kind"],
        operation=row["Operation"],
        service_name=row["ServiceName"],
        scope_name=row["ScopeName"],
        scope_version=row["ScopeVersion"],
        started_at=rfc3339(start),
        started_at_unix_nano=str(start),
        duration_nanoseconds=row["Duration"],
        status=row["StatusCode"],
        status_message=row["StatusMessage"],
        provider=row["Provider"],
        requested_model=row["RequestModel"],
        answered_model=row["ResponseModel"],
        response_id=row["ResponseId"],
        agent_name=row["AgentName"],
        tool_name=row["ToolName"],
        feature=row["Feature"],
        user_id=row["UserId"],
        conversation_id=row["ConversationId"],
        finish_reason=row["FinishReason"],
        input_tokens=row["InputTokens"],
        output_tokens=row["OutputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
        cache_write_tokens=row["CacheWriteTokens"],
        reasoning_tokens=row["ReasoningTokens"],
        usage_details=dict(row["UsageDetails"]),
        receipt=receipt_json(receipt(row), row["Cost"], row["ReportedCost"]),
        input=SpanText(key=row["InputKey"], bytes=row["InputBytes"], characters=row["InputCharacters"]),
        output=SpanText(key=row["OutputKey"], bytes=row["OutputBytes"], characters=row["OutputCharacters"]),
        attributes=dict(row["Attributes"]),
        long_attributes=dict(row["LongAttributes"]),
        resource_attributes=dict(row["ResourceAttributes"]),
        events=_events(row),
        links=_links(row),
        content_expired=row["ContentExpired"],
        capture_policy=row["CapturePolicy"],
    )


def receipt_json(bill: Receipt, cost: Decimal | None, reported: Decimal | None) -> ReceiptAnswer:
    price = bill.price
    return ReceiptAnswer(
        status=bill.status,
        total=None if cost is None else decimal_text(cost),
        lines=[_line(line) for line in bill.lines],
        price=PriceEntryAnswer(data=price.data, entry=price.entry, since=price.since, terms=price.terms)
        if price
        else None,
        reported_cost=None if reported is None else decimal_text(reported),
    )


def _line(line: Line) -> ReceiptLine:
    return ReceiptLine(
        bucket=line.bucket,
        unit=line.unit,
        quantity=line.quantity,
        rate=None if line.rate is None else rate_text(line.rate),
        per=line.per,
        amount=usd_text(line.amount),
    )


def _events(row: Mapping[str, Any]) -> list[SpanEvent]:
    names = ("EventStarts", "Events.Name", "EventAttributes", "EventLongAttributes")
    return [
        SpanEvent(
            at=rfc3339(at),
            at_unix_nano=str(at),
            name=name,
            attributes=dict(attributes),
            long_attributes=dict(long),
        )
        for at, name, attributes, long in zip(*(row[name] for name in names), strict=True)
    ]


def _links(row: Mapping[str, Any]) -> list[SpanLink]:
    names = ("Links.TraceId", "Links.SpanId", "Links.Attributes")
    return [
        SpanLink(trace_id=trace_id, span_id=span_id, attributes=dict(attributes))
        for trace_id, span_id, attributes in zip(*(row[name] for name in names), strict=True)
    ]
