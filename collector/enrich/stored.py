"""Rows that are stored already, read back: as what deciding on who is billed needs, or whole to be enriched again."""

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.enrich.billed.names import model_number, provider_number
from collector.enrich.billed.schema import SEEN_SCHEMA
from collector.enrich.rows import AGGREGATE_FLAG, DETAIL_PARTS
from collector.model.columns import DECODED_SCHEMA, MAP, TEXT
from collector.model.content import moved_content
from collector.model.facts import Kind
from collector.model.money import PriceStatus
from collector.model.sessions import DERIVED_SCOPE

# Statuses of spans that report usage, by whether they are billed.
_REPORTING = {
    PriceStatus.PRICED.value: True,
    PriceStatus.REPORTED.value: True,
    PriceStatus.UNKNOWN_MODEL.value: True,
    PriceStatus.ROLLED_UP.value: False,
}
_SAME_COLUMNS = ("Project", "TraceId", "SpanId", "ParentSpanId", "ServiceName", "ScopeName", "ResponseId")
_PART_COLUMNS = ("CacheReadTokens", "CacheWriteTokens", "ReasoningTokens")
# What a report made of logs tells beyond its parts.
LOGGED_DETAIL = 100
_INT64 = 2**63 - 1  # where its numbers end


def known_spans(table: pa.Table, provider_id: Callable[[str], str]) -> pa.RecordBatch:
    """The rows of the query `known_spans`, as a batch of `SEEN_SCHEMA`. `provider_id`: the canonical name of one."""
    rows = [{**_known_span(row), **_names(row, provider_id)} for row in table.to_pylist()]
    return pa.RecordBatch.from_pylist(rows, schema=SEEN_SCHEMA)


def _known_span(row: Mapping[str, Any]) -> dict[str, Any]:
    details = dict(row["UsageDetails"])
    tokens = row["InputTokens"], row["OutputTokens"]
    billed = _REPORTING.get(row["PriceStatus"], True if any(tokens) else None)
    return {
        **{name: row[name] for name in _SAME_COLUMNS},
        "Start": row["StartNano"],
        "End": min(row["StartNano"] + row["Duration"], _INT64),
        "Version": row["Version"],
        "Reports": billed is not None,
        "IsCall": row["Kind"] == Kind.LLM and AGGREGATE_FLAG not in details,
        "Root": not row["ParentSpanId"],
        "InputTokens": min(row["InputTokens"], _INT64),
        "OutputTokens": min(row["OutputTokens"], _INT64),
        "Detail": sum(row[name] > 0 for name in _PART_COLUMNS)
        + sum(name in details for name in DETAIL_PARTS)
        + LOGGED_DETAIL * row["ScopeName"].startswith(DERIVED_SCOPE),
        "Billed": billed,
    }


def _names(row: Mapping[str, Any], provider_id: Callable[[str], str]) -> dict[str, int]:
    return {
        "RequestModel": model_number(row["RequestModel"]),
        "ResponseModel": model_number(row["ResponseModel"]),
        "Provider": provider_number(provider_id(row["Provider"])),
    }


# Who is billed outranks a price when both revise one version of a row at the same time.
VERDICT_STEP, PRICE_STEP = 2, 1


def decoded_again(table: pa.Table, step: int) -> pa.RecordBatch:
    """Whole rows as `decode` made them, content put back into SpanAttributes, Version raised by `step`."""
    columns = []
    for field in DECODED_SCHEMA:
        column = table.column(field.name).combine_chunks()
        if field.name == "SpanAttributes":
            column = _with_content(table)
        elif field.name == "Version":
            column = pc.add(column.cast(pa.uint64()), pa.scalar(step, pa.uint64()))
        columns.append(_plain(column, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=DECODED_SCHEMA)


def _plain(column: Any, kind: pa.DataType) -> Any:
    """Without the dictionaries and time zones ClickHouse's Arrow output has."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return column if column.type == kind else column.cast(kind)


def _with_content(table: pa.Table) -> pa.Array:
    names = ("SpanAttributes", "InputKey", "Input", "OutputKey", "Output")
    offsets, keys, values = [0], [], []
    for attributes, *content in zip(*(table.column(name).to_pylist() for name in names), strict=True):
        pairs = [*attributes, *moved_content(*content)]
        keys += [key for key, _ in pairs]
        values += [value for _, value in pairs]
        offsets.append(len(keys))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(keys, TEXT), pa.array(values, TEXT), MAP)
