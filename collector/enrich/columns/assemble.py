"""From facts and charges by column to the enriched columns of `model.columns`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.enrich.billed.names import model_number, provider_number
from collector.enrich.billed.schema import SEEN_SCHEMA, ends
from collector.enrich.columns import _columns as native
from collector.enrich.columns.charges import STATUSES, Charges, Lines
from collector.enrich.columns.reader import CALL, KINDS, FactColumns
from collector.enrich.rows import AGGREGATE_FLAG, DETAIL_PARTS, PARTS, SAME_COLUMNS, array_of, versions
from collector.model.columns import ENRICHED_COLUMNS, MAP, MONEY, TEXT

Array = np.ndarray[Any, Any]

_TEXT_CODES = {
    "Operation": "operation",
    "Provider": "provider",
    "RequestModel": "request_model",
    "ResponseModel": "response_model",
    "AgentName": "agent_name",
    "ToolName": "tool_name",
    "Feature": "feature",
    "FinishReason": "finish_reason",
    "InputKey": "input_key",
    "OutputKey": "output_key",
    "Purpose": "purpose",
}
_TEXTS = {"ResponseId": "response_id", "ConversationId": "conversation_id", "UserId": "user_id"}
_COUNTS = {
    "InputTokens": "input_tokens",
    "OutputTokens": "output_tokens",
    "CacheReadTokens": "cache_read_tokens",
    "CacheWriteTokens": "cache_write_tokens",
    "ReasoningTokens": "reasoning_tokens",
}


def seen_columns(batch: pa.RecordBatch, facts: FactColumns) -> pa.RecordBatch:
    """What deciding on who is billed needs of each row, as a batch of `SEEN_SCHEMA`."""
    starts = batch.column("Timestamp").cast(pa.int64())
    detail = np.zeros(batch.num_rows, np.int8)
    for name in PARTS:
        detail += facts.counts[name] > 0
    values: dict[str, Any] = {
        **{name: batch.column(name) for name in SAME_COLUMNS},
        "ResponseId": _text_array(facts, "response_id"),
        "Start": starts,
        "End": ends(starts, batch.column("Duration")),
        "Version": versions(batch, _have_usage(facts)),
        "Reports": facts.has_usage,
        "IsCall": (facts.kind == CALL) & ~facts.aggregate,
        "Root": pc.equal(batch.column("ParentSpanId"), ""),
        "InputTokens": facts.counts["input_tokens"],
        "OutputTokens": facts.counts["output_tokens"],
        "Detail": detail,
        "RequestModel": _numbered(facts, "request_model", model_number),
        "ResponseModel": _numbered(facts, "response_model", model_number),
        "Provider": _numbered(facts, "provider_id", provider_number),
        "Billed": pa.nulls(batch.num_rows, pa.bool_()),
    }
    return pa.RecordBatch.from_arrays(
        [array_of(values[field.name], field) for field in SEEN_SCHEMA], schema=SEEN_SCHEMA
    )


def _have_usage(facts: FactColumns) -> Array:
    have = (facts.counts["input_tokens"] > 0) | (facts.counts["output_tokens"] > 0)
    have[list(facts.details)] = True
    return have & facts.has_usage


def enriched(batch: pa.RecordBatch, facts: FactColumns, charges: Charges) -> pa.RecordBatch:
    """`batch` with every enriched column, and content attributes moved from SpanAttributes to Input and Output.

    Texts of few different values are dictionaries of texts, as ClickHouse keeps them.
    """
    attributes = batch.column("SpanAttributes")
    columns: dict[str, Any] = {
        "Kind": _named(facts.kind, [kind.value for kind in KINDS]),
        "PriceStatus": _named(charges.status, [status.value for status in STATUSES]),
        "PriceRef": _coded(facts.texts, charges.ref),
        **{name: _coded(facts.texts, facts.codes[code]) for name, code in _TEXT_CODES.items()},
        **{name: _text_array(facts, text) for name, text in _TEXTS.items()},
        **{name: pa.array(facts.counts[count].astype(np.uint64)) for name, count in _COUNTS.items()},
        "UsageDetails": _usage_details(facts),
        "Cost": _decimals(charges.cost, charges.priced),
        "CostDetails": _receipts(charges.lines, batch.num_rows),
        "ReportedCost": _reported(facts, batch.num_rows),
        "Input": native.texts_at(attributes.items, facts.input_at),
        "Output": native.texts_at(attributes.items, facts.output_at),
    }
    if (facts.input_at >= 0).any() or (facts.output_at >= 0).any():
        left = native.maps_without(attributes, facts.input_at, facts.output_at, facts.repeated)
        batch = batch.set_column(batch.schema.get_field_index("SpanAttributes"), pa.field("SpanAttributes", MAP), left)
    added = [columns[column.name] for column in ENRICHED_COLUMNS]
    fields = [pa.field(column.name, array.type) for column, array in zip(ENRICHED_COLUMNS, added, strict=True)]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], schema=pa.schema([*batch.schema, *fields]))


def _text_array(facts: FactColumns, name: str) -> pa.Array:
    return facts.slices.array(facts.begin[name], facts.size[name])


def _numbered(facts: FactColumns, name: str, number: Callable[[str], int]) -> Array:
    """The number of each text of a fact, asked for once for each different one."""
    different, places = native.distinct(facts.codes[name])
    return np.array([number(facts.texts.text(code)) for code in different.tolist()], np.int64)[places]


def _named(numbers: Array, names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(names, TEXT))


def _coded(texts: native.Interner, codes: Array) -> pa.Array:
    different, places = native.distinct(codes)
    names = pa.array([texts.text(code) for code in different.tolist()], TEXT)
    return pa.DictionaryArray.from_arrays(pa.array(places), names)


def _decimals(pico: Array, known: Any = None) -> pa.Array:
    """Picodollars as Decimal(18, 12): the same integers, 128 bits wide."""
    wide = np.empty((len(pico), 2), np.int64)
    wide[:, 0] = pico
    wide[:, 1] = pico >> 63
    valid = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(MONEY, len(pico), [valid, pa.py_buffer(wide)])


def _reported(facts: FactColumns, rows: int) -> pa.Array:
    if not facts.reported_cost:
        return pa.nulls(rows, MONEY)
    values: list[Any] = [None] * rows
    for row, cost in facts.reported_cost.items():
        values[row] = cost
    return pa.array(values, MONEY)


def _receipts(lines: Sequence[Lines], rows: int) -> pa.Array:
    """The lines of every row, in their order, as Map(text, money)."""
    counts = np.zeros(rows, np.int64)
    for part in lines:
        counts[part.rows] += part.present.sum(axis=1)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    names: dict[str, int] = {}
    keys, amounts = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int64)
    for part in lines:
        codes = np.array([names.setdefault(name, len(names)) for name in part.names], np.int32)
        places = (offsets[part.rows][:, None] + np.cumsum(part.present, axis=1) - 1)[part.present]
        keys[places] = np.broadcast_to(codes, part.present.shape)[part.present]
        amounts[places] = part.amounts[part.present]
    texts = pa.DictionaryArray.from_arrays(pa.array(keys), pa.array(list(names), TEXT)).dictionary_decode()
    return pa.MapArray.from_arrays(pa.array(offsets.astype(np.int32)), texts, _decimals(amounts))


def _usage_details(facts: FactColumns) -> pa.Array:
    some = facts.aggregate.copy()
    for part in DETAIL_PARTS.values():
        some |= facts.counts[part] > 0
    some[list(facts.details)] = True
    offsets = np.zeros(len(some) + 1, np.int32)
    keys: list[str] = []
    values: list[int] = []
    for row in np.flatnonzero(some).tolist():
        found = _details_of(facts, row)
        keys += found
        values += found.values()
        offsets[row + 1] = len(found)
    ends_of = np.cumsum(offsets, dtype=np.int32)
    return pa.MapArray.from_arrays(pa.array(ends_of), pa.array(keys, TEXT), pa.array(values, pa.uint64()))


def _details_of(facts: FactColumns, row: int) -> Mapping[str, int]:
    parts = {name: count for name, part in DETAIL_PARTS.items() if (count := int(facts.counts[part][row]))}
    flags = {AGGREGATE_FLAG: 1} if facts.aggregate[row] else {}
    return {**facts.details.get(row, {}), **parts, **flags}
