"""Rows into the table of their signal: one insert per partition day, in the form that suits the store."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from collector.model.columns import DAY_NS, NANOSECONDS
from collector.slices import slices
from collector.store.client import Store
from collector.store.tables import SPANS, Table

# Days beyond this many in one segment share inserts, and no insert has more partitions than `_MAX_SHARED_DAYS`.
_MAX_DAYS = 16
_MAX_SHARED_DAYS = 64


class TableRows(Protocol):
    """Rows to insert, as batches of one schema: a table, or what makes its batches anew each time it is asked."""

    @property
    def num_rows(self) -> int: ...

    def to_batches(self) -> Iterable[pa.RecordBatch]: ...


def by_day(rows: TableRows, times: Sequence[pa.Array]) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
    """`rows` by UTC day: a label stable for these rows, the rows, and their positions in `rows`.

    `times` are the table's `time` column in each batch of `rows`.
    """
    return by_number(rows, pc.divide(pa.chunked_array(times, NANOSECONDS).cast(pa.int64()), DAY_NS))


def by_number(rows: TableRows, days: pa.ChunkedArray) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
    """`by_day`, of days that are numbered from 1970-01-01."""
    counts = sorted(pc.value_counts(days).to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))
    if not counts:
        return
    if len(counts) == 1:
        yield str(counts[0]["values"]), rows, range(rows.num_rows)
        return
    table = pa.Table.from_batches(rows.to_batches())
    large = [entry["values"] for entry in counts[:_MAX_DAYS]]
    for day in sorted(large):
        yield str(day), *_rows_where(table, pc.equal(days, day))
    others = sorted(entry["values"] for entry in counts[_MAX_DAYS:])
    for number, part in enumerate(slices(others, _MAX_SHARED_DAYS)):
        yield f"others.{number}" if number else "others", *_rows_where(table, pc.is_in(days, pa.array(part)))


def _rows_where(table: pa.Table, mask: pa.ChunkedArray) -> tuple[pa.Table, Sequence[int]]:
    return table.filter(mask), pc.indices_nonzero(mask).to_pylist()


def insert_rows(store: Store, table: Table, rows: TableRows, token: str) -> None:
    """Insert rows of one day (or of the rare remaining days) exactly once. Raises like `Store.insert`."""
    store.insert(table.name, as_sent(table, rows, embedded=store.embedded), token)


def insert_spans(store: Store, rows: TableRows, token: str) -> None:
    """`insert_rows` into the table of spans."""
    insert_rows(store, SPANS, rows, token)


def as_sent(table: Table, rows: TableRows, *, embedded: bool) -> Iterator[pa.RecordBatch]:
    """The batches of one insert, repeated texts as dictionaries where the store takes them."""
    batches = iter(rows.to_batches())
    first = list(islice(batches, 2))
    # Released servers keep the first dictionary of a stream for all of its batches: several batches go as texts.
    if embedded or len(first) == 1:
        return (with_dictionaries(table, batch) for batch in chain(first, batches))
    return map(without_dictionaries, chain(first, batches))


# How rows of one day are inserted: `insert_spans`, or something that does it and more.
Insert = Callable[[Store, TableRows, str], None]


def with_dictionaries(table: Table, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with repeated texts as dictionaries: fewer bytes to send, fewer strings for ClickHouse to hash."""
    columns = [_with_dictionary(table, name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with every text as itself."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _with_dictionary(table: Table, name: str, column: pa.Array) -> pa.Array:
    if name in table.low_columns and not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    if name in table.low_keys:
        return pa.MapArray.from_arrays(column.offsets, column.keys.dictionary_encode(), column.items)
    return column


def insert_versions(store: Store, batch: pa.RecordBatch, purpose: str, insert: Insert = insert_spans) -> None:
    """Insert new versions of stored spans, by day. Repeated after a crash, the same versions add nothing.

    Raises like `insert`.
    """
    names = ["TraceId", "SpanId", "Version", "PriceStatus", "PriceRef"]
    rows = pa.Table.from_batches([batch])
    for day, part, _ in by_day(rows, [batch.column(SPANS.time)]):
        key = pa.Table.from_batches(part.to_batches()).select(names)
        text = repr([key.column(name).to_pylist() for name in names])
        insert(store, part, f"{purpose}/{hashlib.sha256(text.encode()).hexdigest()}/{day}")
