"""Stored spans and other rows as JSON for the API."""

from decimal import Decimal
from typing import Any

import pyarrow as pa


def spans_json(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of `otel_traces`: columns by name, maps as objects, events and links as lists of objects.

    Times are Unix nanoseconds and money is USD, both as strings: JSON numbers hold neither exactly.
    """
    rows: list[dict[str, Any]] = _plain_times(table).to_pylist()
    return [_span(row, table.schema) for row in rows]


def rows_json(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of any query: columns by name, times and money as in `spans_json`."""
    rows: list[dict[str, Any]] = _plain_times(table).to_pylist()
    return [{field.name: _value(row[field.name], field.type) for field in table.schema} for row in rows]


def _plain_times(table: pa.Table) -> pa.Table:
    """Timestamps as integers: Python's datetime would cut the nanoseconds."""
    for position, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            plain = pa.int64()
        elif pa.types.is_list(field.type) and pa.types.is_timestamp(field.type.value_type):
            plain = pa.list_(pa.int64())
        else:
            continue
        table = table.set_column(position, field.name, table.column(position).cast(plain))
    return table


def _span(row: dict[str, Any], schema: pa.Schema) -> dict[str, Any]:
    span: dict[str, Any] = {"Events": [], "Links": []}
    groups: dict[str, dict[str, list[Any]]] = {"Events": {}, "Links": {}}
    for field in schema:
        group, _, name = field.name.partition(".")
        value = _value(row[field.name], field.type)
        if name:
            groups[group][name] = value
        else:
            span[field.name] = value
    for group, columns in groups.items():
        span[group] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return span


def _value(value: Any, kind: pa.DataType) -> Any:
    if pa.types.is_timestamp(kind):
        return str(value)
    if pa.types.is_map(kind):  # pairs; the last of equal keys wins
        return {key: _value(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind):
        return [_value(item, kind.value_type) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else value
