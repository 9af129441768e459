"""Typed spans from the columns the store answers with."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.runs import columns
from collector.runs.span import NO_ATTRIBUTES, Events, Span, by_time

# Columns by the fields of Span that are read from them as they are.
_REPEATING = {
    "parent_id": "ParentSpanId",
    "name": "SpanName",
    "scope": "ScopeName",
    "kind": "Kind",
    "operation": "Operation",
    "price_status": "PriceStatus",
    "provider": "Provider",
    "request_model": "RequestModel",
    "response_model": "ResponseModel",
    "agent_name": "AgentName",
    "tool_name": "ToolName",
    "finish_reason": "FinishReason",
    "input_key": "InputKey",
    "output_key": "OutputKey",
    "purpose": "Purpose",
}
_DISTINCT = {"span_id": "SpanId", "response_id": "ResponseId", "input": "Input", "output": "Output"}
_COUNTS = {
    "input_tokens": "InputTokens",
    "output_tokens": "OutputTokens",
    "cache_read_tokens": "CacheReadTokens",
    "cache_write_tokens": "CacheWriteTokens",
    "reasoning_tokens": "ReasoningTokens",
}


def read_spans(table: pa.Table) -> list[Span]:
    """The spans of one trace in order of time (`by_time`); of rows with one id the last counts.

    `table` has at least the columns of `schema/queries/run_waterfall.sql`, with the types of `model.columns`, in any
    number of chunks; of those of `run_spans.sql` that it lacks spans have nothing; every other column is ignored. Spans
    keep the table's buffers: their attributes are read from them when they are asked for.
    """
    fields = _fields(table.take(pc.sort_indices(table.column("Timestamp"))))  # what is read together lies together
    rows = map(Span._make, zip(*map(fields.__getitem__, Span._fields), strict=True))
    return sorted({span.span_id: span for span in rows}.values(), key=by_time)


def read_runs(table: pa.Table) -> dict[str, list[Span]]:
    """As `read_spans`, of the spans of many traces, by trace id: columns are read once for all of them."""
    ordered = table.take(pc.sort_indices(table.column("Timestamp")))
    fields = _fields(ordered)
    rows = map(Span._make, zip(*map(fields.__getitem__, Span._fields), strict=True))
    found: dict[str, dict[str, Span]] = {}
    for trace_id, span in zip(columns.texts(ordered.column("TraceId")), rows, strict=True):
        found.setdefault(trace_id, {})[span.span_id] = span
    return {trace_id: sorted(spans.values(), key=by_time) for trace_id, spans in found.items()}


def _fields(table: pa.Table) -> dict[str, Sequence[Any]]:
    starts, durations = columns.counts(table.column("Timestamp")), columns.counts(table.column("Duration"))
    return {
        **{field: _read(table, name, columns.texts, "") for field, name in _REPEATING.items()},
        **{field: _read(table, name, columns.distinct_texts, "") for field, name in _DISTINCT.items()},
        **{field: _read(table, name, columns.counts, 0) for field, name in _COUNTS.items()},
        "start": starts,
        "end": [start + duration for start, duration in zip(starts, durations, strict=True)],
        "error": [status == "Error" for status in columns.texts(table.column("StatusCode"))],
        "cost": table.column("Cost").to_pylist(),
        "attributes": _read(table, "SpanAttributes", columns.maps, NO_ATTRIBUTES),
        "events": _events(table),
    }


def _read(table: pa.Table, name: str, read: Callable[[pa.ChunkedArray], Sequence[Any]], absent: Any) -> Sequence[Any]:
    return read(table.column(name)) if name in table.column_names else [absent] * table.num_rows


def _events(table: pa.Table) -> list[Events]:
    if "Events.Name" not in table.column_names or not any(columns.lengths(table.column("Events.Name"))):
        return [()] * table.num_rows
    names = columns.lists_of_texts(table.column("Events.Name"))
    attributes = columns.lists_of_maps(table.column("Events.Attributes"))
    return [tuple(zip(*event, strict=True)) for event in zip(names, attributes, strict=True)]
