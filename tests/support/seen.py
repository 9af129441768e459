"""Spans as the verdict sees them: rows of `SEEN_SCHEMA`, made by hand."""

import zlib
from collections.abc import Iterable, Mapping

import pyarrow as pa

from collector.enrich.billed.rules import Report
from collector.enrich.billed.schema import SEEN_SCHEMA, Billed
from collector.enrich.billed.traces import SeenSpan
from collector.model.keys import SpanKey, TraceKey


def span_id(name: str) -> str:
    """An id that sorts as short names do."""
    return name and name.encode().hex().rjust(16, "0")


def trace(name: str, project: str = "p") -> TraceKey:
    return project, f"{zlib.crc32(name.encode()):032x}"


def key(trace_name: str, span_name: str) -> SpanKey:
    return trace(trace_name), span_id(span_name)


def seen(
    trace_name: str, name: str, parent: str = "", report: tuple[bool, int, int] | None = None, **more: object
) -> SeenSpan:
    """A span of one service. `report`: is it a call, input and output tokens; `more` are fields of `Report`."""
    made = report and Report(span_id(name), *report, **{"root": not parent, **more})  # type: ignore[arg-type]
    return SeenSpan(trace(trace_name), span_id(name), span_id(parent), "service", made)


def batch(spans: Iterable[SeenSpan], billed: Mapping[SpanKey, bool] | None = None) -> pa.RecordBatch:
    """The spans as rows; `billed` is what the table says of those stored."""
    rows = [_row(span, (billed or {}).get((span.trace, span.span_id), span.billed)) for span in spans]
    return pa.RecordBatch.from_pylist(rows, schema=SEEN_SCHEMA)


def _row(span: SeenSpan, billed: bool | None) -> dict[str, object]:
    report = span.report or Report("", is_call=False, input_tokens=0, output_tokens=0, root=not span.parent_id)
    values = (
        *span.trace,
        span.span_id,
        span.parent_id,
        span.service,
        report.scope,
        report.response_id,
        span.start or report.start,
        report.end,
        span.version,
        span.report is not None,
        report.is_call,
        report.root,
        report.input_tokens,
        report.output_tokens,
        report.detail,
        *report.models,
        report.provider,
        billed,
    )
    return dict(zip(SEEN_SCHEMA.names, values, strict=True))


def billed_keys(spans: pa.RecordBatch, judgement: Billed) -> set[SpanKey]:
    """The spans of the batch that are to be billed."""
    columns = (spans.column(name).to_pylist() for name in ("Project", "TraceId", "SpanId"))
    rows = zip(*columns, judgement.billed.tolist(), strict=True)
    return {((project, trace_id), one) for project, trace_id, one, verdict in rows if verdict}
