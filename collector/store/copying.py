"""Rows of the embedded store written into the same tables of a server, partition by partition.

What the server makes of inserts by itself is not copied: the lookup of traces, and which runs are to be summed. A
partition that the server has already, as many rows under FINAL, is passed over, so that a copy which was interrupted
goes on where it was; a row that is copied twice replaces itself.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from clickhouse_connect.driver.binding import quote_identifier

from collector.errors import Reason, Rejected, Unavailable
from collector.model.progress import Progress
from collector.store.client import Store
from collector.store.engine_handle import EngineError
from collector.store.sql import named_query

_MAX_ROWS: Final = 50_000
_MAX_BYTES: Final = 64 << 20
# A block of the engine is about a megabyte, however wide its rows are.
_READING: Final = {
    "max_threads": "1",
    "max_block_size": "8192",
    "preferred_block_size_bytes": "1048576",
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
}

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """Rows under FINAL, here and there, of all partitions that are here."""

    name: str
    here: int
    there: int


def copy_store(source: Store, target: Store, progress: Progress) -> Sequence[CopiedTable]:
    """Copy every table, into a database that is migrated. Both stores have the same version.

    `progress` counts rows. Raises Unavailable, and what `progress` raises; then it can be called again.
    """
    rows = source.query(named_query("copied_tables"), {}).to_pylist()
    tables = {row["Table"]: bool(row["Replaces"]) for row in rows}
    here = {table: _counts(source, table, replaces) for table, replaces in tables.items()}
    total, done = sum(sum(counts.values()) for counts in here.values()), 0
    copied = []
    for table, replaces in tables.items():
        there = _counts(target, table, replaces)
        for partition, count in here[table].items():
            if there.get(partition, 0) < count:
                for more in _copy_partition(source, target, table, partition):
                    progress(done + more, total)
            done += count
            progress(done, total)
        there = _counts(target, table, replaces)
        in_both = sum(there.get(partition, 0) for partition in here[table])
        copied.append(CopiedTable(table, sum(here[table].values()), in_both))
    return copied


def missing(copied: Sequence[CopiedTable]) -> None:
    """Raises Rejected when the server has fewer rows of a table."""
    if less := [table for table in copied if table.there < table.here]:
        names = ", ".join(f"{table.name} ({table.there} of {table.here} rows)" for table in less)
        raise Rejected(
            Reason.STORE,
            f"The server has not all rows of {names}. Does its TTL delete them already, or does something else change "
            "them? Repeat the copy once that is clear: it goes on with what is missing.",
        )


def _counts(store: Store, table: str, replaces: bool) -> Counts:
    query = "final_rows_by_partition" if replaces else "rows_by_partition"
    rows = store.query(named_query(query), {"table": table}).to_pylist()
    return {row["Partition"]: row["Rows"] for row in rows}


def _copy_partition(source: Store, target: Store, table: str, partition: str) -> Iterator[int]:
    """How many rows are copied, after each insert."""
    run, done = secrets.token_hex(8), 0
    for number, batches in enumerate(_together(_rows(source, table, partition))):
        target.insert(table, batches, f"copy/{run}/{number}")
        done += sum(batch.num_rows for batch in batches)
        yield done


def _rows(source: Store, table: str, partition: str) -> Iterator[pa.RecordBatch]:
    with closing(source.handle()) as handle:
        try:
            handle.text(f"USE {quote_identifier(source.database)}")
            handle.text("SET " + ", ".join(f"{name} = {value}" for name, value in _READING.items()))
            yield from handle.stream(named_query("rows_of_partition"), {"table": table, "partition": partition})
        except EngineError as error:
            raise Unavailable(Reason.STORE, f"{table} cannot be read: {error}") from error


def _together(batches: Iterator[pa.RecordBatch]) -> Iterator[Sequence[pa.RecordBatch]]:
    """As many as one insert takes."""
    together: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        together.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _MAX_ROWS or size >= _MAX_BYTES:
            yield together
            together, rows, size = [], 0, 0
    if together:
        yield together
