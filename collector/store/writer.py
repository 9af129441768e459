"""Rows into `otel_traces`: one insert a partition day, the rest of the table's rules kept out of the drain's sight."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from collector.model.columns import EARLIEST_NS, LATEST_NS, LOW_TEXT, NANOSECONDS, SPAN_COLUMNS
from collector.store.client import Store

TABLE = "otel_traces"
_DAY_NS = 86_400 * 1_000_000_000

# Columns whose values, or whose keys, ClickHouse keeps as a dictionary: they are sent as one.
_LOW_COLUMNS = frozenset(column.name for column in SPAN_COLUMNS if column.clickhouse == LOW_TEXT)
_LOW_KEYS = frozenset(column.name for column in SPAN_COLUMNS if column.clickhouse.startswith(f"Map({LOW_TEXT}"))

# Days beyond this many in one segment share an insert: a client with a broken clock must not cost thousands of them.
_MAX_DAYS = 16


def clamp(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
    """`batch` with every Timestamp within ClickHouse's DateTime range, and how many had to be moved."""
    position = batch.schema.get_field_index("Timestamp")
    times = batch.column(position).cast(pa.int64())
    outside = pc.or_(pc.less(times, EARLIEST_NS), pc.greater(times, LATEST_NS))
    count = pc.sum(outside).as_py() or 0
    if not count:
        return batch, 0
    inside = pc.min_element_wise(pc.max_element_wise(times, EARLIEST_NS), LATEST_NS)
    return batch.set_column(position, batch.schema.field(position), inside.cast(NANOSECONDS)), count


class SpanRows(Protocol):
    """Rows to insert, as batches of one schema: a table, or what makes its batches anew each time it is asked."""

    @property
    def num_rows(self) -> int: ...

    def to_batches(self) -> Iterable[pa.RecordBatch]: ...


def by_day(rows: SpanRows, times: Sequence[pa.Array]) -> Iterator[tuple[str, SpanRows, Sequence[int]]]:
    """`rows` by UTC day of Timestamp: a label stable for these rows, the rows, and their positions in `rows`.

    `times` are the columns Timestamp of the batches of `rows`.
    """
    days = pc.divide(pa.chunked_array(times, NANOSECONDS).cast(pa.int64()), _DAY_NS)
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
    if len(counts) > _MAX_DAYS:
        yield "others", *_rows_where(table, pc.invert(pc.is_in(days, pa.array(large))))


def _rows_where(table: pa.Table, mask: pa.ChunkedArray) -> tuple[pa.Table, Sequence[int]]:
    return table.filter(mask), pc.indices_nonzero(mask).to_pylist()


def insert_spans(store: Store, rows: SpanRows, token: str) -> None:
    """Insert rows of one day (or of the odd remaining days) exactly once. Raises like `Store.insert`."""
    store.insert(TABLE, as_sent(rows, embedded=store.embedded), token)


def as_sent(rows: SpanRows, *, embedded: bool) -> Iterator[pa.RecordBatch]:
    """The batches of one insert, repeated texts as dictionaries where the store takes them."""
    batches = iter(rows.to_batches())
    first = list(islice(batches, 2))
    # Released servers keep the first dictionary of a stream for all of its batches: several batches go as texts.
    prepared = with_dictionaries if embedded or len(first) == 1 else without_dictionaries
    return map(prepared, chain(first, batches))


# How rows of one day are inserted: `insert_spans`, or something that does it and more.
Insert = Callable[[Store, SpanRows, str], None]


def with_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with repeated texts as dictionaries: fewer bytes to send, fewer strings for ClickHouse to hash."""
    columns = [_with_dictionary(name, batch.column(name)) for name in batch.schema.names]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def without_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with every text as itself."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _with_dictionary(name: str, column: pa.Array) -> pa.Array:
    if name in _LOW_COLUMNS and not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    if name in _LOW_KEYS:
        return pa.MapArray.from_arrays(column.offsets, column.keys.dictionary_encode(), column.items)
    return column


def insert_versions(store: Store, batch: pa.RecordBatch, purpose: str, insert: Insert = insert_spans) -> None:
    """Insert new versions of stored rows, by day. Repeated after a crash, the same versions add nothing.

    Raises like `insert`.
    """
    names = ["TraceId", "SpanId", "Version", "PriceStatus", "PriceRef"]
    rows = pa.Table.from_batches([batch])
    for day, part, _ in by_day(rows, [batch.column("Timestamp")]):
        key = pa.Table.from_batches(part.to_batches()).select(names)
        text = repr([key.column(name).to_pylist() for name in names])
        insert(store, part, f"{purpose}/{hashlib.sha256(text.encode()).hexdigest()}/{day}")
