"""Between rows and facts: a batch as the views enrichment reads, and facts as the columns it fills."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.enrich.billed.names import model_number, provider_number
from collector.enrich.billed.schema import SEEN_SCHEMA, BilledMask, ends
from collector.model.columns import ENRICHED_COLUMNS, MAP, NANOSECONDS
from collector.model.facts import Facts, Kind, SpanView
from collector.model.usage import Usage
from collector.model.versions import USAGE

AGGREGATE_FLAG = "aggregate"

# Parts of the totals that have no column of their own are in UsageDetails under these names.
DETAIL_PARTS = {
    "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens",
    "cache_audio_read": "cache_audio_read_tokens",
    "output_audio": "output_audio_tokens",
}
SAME_COLUMNS = ("Project", "TraceId", "SpanId", "ParentSpanId", "ServiceName", "ScopeName")
PARTS = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", *DETAIL_PARTS.values())


@dataclass(frozen=True, slots=True)
class Charge:
    """What a span costs, as stored. `cost` and `details` are USD; `cost` is None when it is not priced."""

    status: str
    cost: Decimal | None = None
    details: tuple[tuple[str, Decimal], ...] = ()
    ref: str = ""


def views(batch: pa.RecordBatch) -> list[SpanView]:
    """One view a row."""
    columns = {name: batch.column(name).to_pylist() for name in ("SpanName", "ScopeName", "SpanKind", "StatusCode")}
    rows = zip(
        *columns.values(),
        _maps(batch.column("SpanAttributes")),
        _events(batch),
        _maps(batch.column("ResourceAttributes")),
        batch.column("ScopeVersion").to_pylist(),
        strict=True,
    )
    return [SpanView(*row) for row in rows]


def _maps(column: Any) -> Iterator[dict[str, str]]:
    """A map column as dicts; of equal keys the last one counts."""
    keys, values, offsets = column.keys.to_pylist(), column.items.to_pylist(), column.offsets.to_pylist()
    for begin, end in itertools.pairwise(offsets):
        yield dict(zip(keys[begin:end], values[begin:end], strict=True))


def _events(batch: pa.RecordBatch) -> Iterator[list[tuple[str, dict[str, str]]]]:
    names = batch.column("Events.Name")
    texts, offsets = names.values.to_pylist(), names.offsets.to_pylist()
    attributes = list(_maps(batch.column("Events.Attributes").values))
    for begin, end in itertools.pairwise(offsets):
        yield list(zip(texts[begin:end], attributes[begin:end], strict=True))


def seen_spans(batch: pa.RecordBatch, facts: Sequence[Facts]) -> pa.RecordBatch:
    """What deciding on who is billed needs of each row, as a batch of `SEEN_SCHEMA`."""
    starts = batch.column("Timestamp").cast(pa.int64())
    usages = [fact.usage or Usage() for fact in facts]
    values = {
        **{name: batch.column(name) for name in SAME_COLUMNS},
        "ResponseId": [fact.response_id for fact in facts],
        "Start": starts,
        "End": ends(starts, batch.column("Duration")),
        "Version": versions(batch, np.array([_has_usage(usage) for usage in usages], np.bool_)),
        "Reports": [fact.usage is not None for fact in facts],
        "IsCall": [fact.kind is Kind.LLM and not fact.usage_is_aggregate for fact in facts],
        "Root": pc.equal(batch.column("ParentSpanId"), ""),
        "InputTokens": [usage.input_tokens for usage in usages],
        "OutputTokens": [usage.output_tokens for usage in usages],
        "Detail": [sum(getattr(usage, part) > 0 for part in PARTS) for usage in usages],
        "RequestModel": [model_number(fact.request_model) for fact in facts],
        "ResponseModel": [model_number(fact.response_model) for fact in facts],
        "Provider": [provider_number(fact.provider_id) for fact in facts],
        "Billed": pa.nulls(batch.num_rows, pa.bool_()),
    }
    return pa.RecordBatch.from_arrays(
        [array_of(values[field.name], field) for field in SEEN_SCHEMA], schema=SEEN_SCHEMA
    )


def _has_usage(usage: Usage) -> bool:
    return bool(usage.input_tokens or usage.output_tokens or usage.details)


def versions(batch: pa.RecordBatch, has_usage: BilledMask) -> pa.Array:
    """The version of each row: that of the batch, and that it has usage, of which nothing but zeros is none."""
    return pa.array(np.asarray(batch.column("Version")).view(np.int64) | has_usage * np.int64(USAGE))


def with_versions(batch: pa.RecordBatch, spans: pa.RecordBatch) -> pa.RecordBatch:
    """`batch` with the versions that `spans`, a batch of `SEEN_SCHEMA`, has for its rows."""
    position = batch.schema.get_field_index("Version")
    return batch.set_column(position, batch.schema.field(position), spans.column("Version").view(pa.uint64()))


def with_starts(batch: pa.RecordBatch, starts: Mapping[int, int]) -> pa.RecordBatch:
    """`batch` with other starts (Unix nanoseconds) for some of its rows, by their positions."""
    position = batch.schema.get_field_index("Timestamp")
    times = np.array(batch.column(position).cast(pa.int64()))
    times[list(starts)] = list(starts.values())
    return batch.set_column(position, batch.schema.field(position), pa.array(times).cast(NANOSECONDS))


def array_of(values: Any, field: pa.Field) -> pa.Array:
    """`values` as the array of a field, if they are not one."""
    return values if isinstance(values, pa.Array) else pa.array(values, field.type)


def with_enriched(batch: pa.RecordBatch, facts: Sequence[Facts], charges: Sequence[Charge]) -> pa.RecordBatch:
    """`batch` with every enriched column, and content attributes moved from SpanAttributes to Input and Output."""
    batch, inputs, outputs = _move_content(batch, facts)
    values: dict[str, list[Any]] = {
        "Kind": [fact.kind.value for fact in facts],
        "Operation": [fact.operation for fact in facts],
        "Provider": [fact.provider for fact in facts],
        "RequestModel": [fact.request_model for fact in facts],
        "ResponseModel": [fact.response_model for fact in facts],
        "ResponseId": [fact.response_id for fact in facts],
        "AgentName": [fact.agent_name for fact in facts],
        "ToolName": [fact.tool_name for fact in facts],
        "Feature": [fact.feature for fact in facts],
        "ConversationId": [fact.conversation_id for fact in facts],
        "UserId": [fact.user_id for fact in facts],
        "FinishReason": [fact.finish_reason for fact in facts],
        "ReportedCost": [fact.reported_cost for fact in facts],
        "InputKey": [fact.input_key for fact in facts],
        "OutputKey": [fact.output_key for fact in facts],
        "Purpose": [fact.purpose for fact in facts],
        "Input": inputs,
        "Output": outputs,
        "Cost": [charge.cost for charge in charges],
        "CostDetails": [list(charge.details) for charge in charges],
        "PriceStatus": [charge.status for charge in charges],
        "PriceRef": [charge.ref for charge in charges],
        **_usage_columns([fact.usage or Usage() for fact in facts], facts),
    }
    for column in ENRICHED_COLUMNS:
        batch = batch.append_column(pa.field(column.name, column.arrow), pa.array(values[column.name], column.arrow))
    return batch


def _usage_columns(usages: Sequence[Usage], facts: Sequence[Facts]) -> dict[str, list[Any]]:
    return {
        "InputTokens": [usage.input_tokens for usage in usages],
        "OutputTokens": [usage.output_tokens for usage in usages],
        "CacheReadTokens": [usage.cache_read_tokens for usage in usages],
        "CacheWriteTokens": [usage.cache_write_tokens for usage in usages],
        "ReasoningTokens": [usage.reasoning_tokens for usage in usages],
        "UsageDetails": [list(_usage_details(usage, fact).items()) for usage, fact in zip(usages, facts, strict=True)],
    }


def _usage_details(usage: Usage, fact: Facts) -> dict[str, int]:
    parts = {name: count for name, part in DETAIL_PARTS.items() if (count := getattr(usage, part))}
    flags = {AGGREGATE_FLAG: 1} if fact.usage_is_aggregate else {}
    return {**usage.details, **parts, **flags}


def _move_content(batch: pa.RecordBatch, facts: Sequence[Facts]) -> tuple[pa.RecordBatch, list[str], list[str]]:
    """Take the attributes that hold content out of SpanAttributes, wherever a fact names one exactly."""
    column = batch.column("SpanAttributes")
    keys, offsets = column.keys.to_pylist(), column.offsets.to_pylist()
    inputs, outputs = [""] * len(facts), [""] * len(facts)
    moved: list[int] = []
    new_offsets = [0]
    for row, fact in enumerate(facts):
        for position in range(offsets[row], offsets[row + 1]):
            if not keys[position]:  # the name of no content
                continue
            if keys[position] == fact.input_key:
                inputs[row] = column.items[position].as_py()
                moved.append(position)
            if keys[position] == fact.output_key:
                outputs[row] = column.items[position].as_py()
                if fact.output_key != fact.input_key:
                    moved.append(position)
        new_offsets.append(offsets[row + 1] - offsets[0] - len(moved))
    if not moved:
        return batch, inputs, outputs
    gone = set(moved)
    kept = pa.array([position for position in range(offsets[0], offsets[-1]) if position not in gone], pa.int32())
    smaller = pa.MapArray.from_arrays(
        pa.array(new_offsets, pa.int32()), pc.take(column.keys, kept), pc.take(column.items, kept), MAP
    )
    position = batch.schema.get_field_index("SpanAttributes")
    return batch.set_column(position, batch.schema.field(position), smaller), inputs, outputs
