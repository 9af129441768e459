"""Stored spans and other rows as JSON for the API.

Read column by column: a row of `otel_traces` has seventy values, and a run may have thousands of rows.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa

from collector.model.money import decimal_text

_GROUPS = ("Events", "Links")


def spans_json(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of `otel_traces`: columns by name, maps as objects, events and links as lists of objects.

    Times are Unix nanoseconds and money is USD, both as strings: JSON numbers hold neither exactly.
    """
    plain = [name for name in table.column_names if "." not in name]
    columns: dict[str, Sequence[Any]] = {name: _values(table.column(name)) for name in plain}
    for group in _GROUPS:
        columns[group] = _grouped(table, group)
    return _rows(columns)


def rows_json(table: pa.Table) -> list[dict[str, Any]]:
    """Rows of any query: columns by name, times and money as in `spans_json`."""
    return _rows({name: _values(table.column(name)) for name in table.column_names})


def _rows(columns: dict[str, Sequence[Any]]) -> list[dict[str, Any]]:
    names = list(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _grouped(table: pa.Table, group: str) -> list[list[dict[str, Any]]]:
    """The columns `group.*`, lists of equal length in each row, as one list of objects a row."""
    names = [name for name in table.column_names if name.startswith(f"{group}.")]
    if not names:
        return [[] for _ in range(table.num_rows)]
    keys = [name.partition(".")[2] for name in names]
    rows = zip(*(_values(table.column(name)) for name in names), strict=True)
    return [[dict(zip(keys, item, strict=True)) for item in zip(*row, strict=True)] for row in rows]


def _values(column: pa.ChunkedArray) -> list[Any]:
    return [value for chunk in column.chunks for value in _of_array(chunk)]


def _of_array(array: pa.Array) -> Sequence[Any]:
    if pa.types.is_map(array.type):
        return _each(array, _of_map)
    if pa.types.is_list(array.type):
        return _each(array, _of_list)
    if pa.types.is_timestamp(array.type):  # as integers: Python's datetime would cut the nanoseconds
        return [None if value is None else str(value) for value in array.cast(pa.int64()).to_pylist()]
    if pa.types.is_decimal(array.type):
        return [None if value is None else decimal_text(value) for value in array.to_pylist()]
    if pa.types.is_string(array.type) and len(array):
        return _of_texts(array)
    values: list[Any] = array.to_pylist()
    return values


def _of_texts(array: pa.StringArray) -> Sequence[str | None]:
    """Most texts of a run repeat: each is decoded once."""
    encoded = array.dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    if array.null_count:
        return [None if place is None else texts[place] for place in encoded.indices.to_pylist()]
    return list(map(texts.__getitem__, encoded.indices.to_numpy().tolist()))


def _each(array: pa.Array, read: Callable[[pa.Array], Callable[[int, int], Any]]) -> Sequence[Any]:
    """The value of each row from where its items begin and end."""
    offsets: list[int] = array.offsets.to_numpy().tolist()
    part = read(array)
    return [part(begin, end) for begin, end in pairwise(offsets)]


def _of_map(array: pa.MapArray) -> Callable[[int, int], dict[str, Any]]:
    """Of equal keys the last wins."""
    keys, items = _of_array(array.keys), _of_array(array.items)
    return lambda begin, end: dict(zip(keys[begin:end], items[begin:end], strict=True))


def _of_list(array: pa.ListArray) -> Callable[[int, int], list[Any]]:
    values = _of_array(array.values)
    return lambda begin, end: list(values[begin:end])
