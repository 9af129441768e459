"""Rows of the embedded store written into the same tables of a server, partition by partition.

What the server makes of inserts by itself is not copied: the lookup of traces, and which runs are to be summed. A
partition that the server has already, row by row, is passed over, so that a copy which was interrupted goes on where
it was; a row that is copied twice replaces itself. The server may have rows of other stores in the same partitions.
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


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """Rows under FINAL, here and there, of all partitions that are here."""

    name: str
    here: int
    there: int


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    replaces: bool
    keys: str  # what tells rows apart, as the arguments of a function


@dataclass(frozen=True, slots=True)
class _Partition:
    """How many rows, and the sum of the hashes of their keys: equal where the same rows are."""

    rows: int
    digest: int


_NONE: Final = _Partition(0, 0)


def copy_store(source: Store, target: Store, progress: Progress) -> Sequence[CopiedTable]:
    """Copy every table, into a database that is migrated. Both stores have the same version.

    `progress` counts rows. Raises Unavailable, and what `progress` raises; then it can be called again.
    """
    tables = [
        _Table(row["Table"], bool(row["Replaces"]), ", ".join(map(quote_identifier, row["Keys"])))
        for row in source.query(named_query("copied_tables"), {}).to_pylist()
    ]
    here = {table.name: _partitions(source, table) for table in tables}
    total, done = sum(one.rows for partitions in here.values() for one in partitions.values()), 0
    copied = []
    for table in tables:
        there = _partitions(target, table)
        for partition, one in here[table.name].items():
            if there.get(partition, _NONE) != one:
                for more in _copy_partition(source, target, table, partition):
                    progress(done + more, total)
            done += one.rows
            progress(done, total)
        there = _partitions(target, table)
        in_both = sum(there.get(partition, _NONE).rows for partition in here[table.name])
        copied.append(CopiedTable(table.name, sum(one.rows for one in here[table.name].values()), in_both))
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


def _partitions(store: Store, table: _Table) -> Mapping[str, _Partition]:
    final = "FINAL" if table.replaces else ""
    rows = store.query(
        f"SELECT _partition_id, count(), sum(cityHash64({table.keys})) "  # noqa: S608 - names of the schema
        f"FROM {quote_identifier(table.name)} {final} GROUP BY _partition_id ORDER BY _partition_id",
        {},
    )
    names, counts, digests = (column.to_pylist() for column in rows.columns)
    return {name: _Partition(*found) for name, *found in zip(names, counts, digests, strict=True)}


def _copy_partition(source: Store, target: Store, table: _Table, partition: str) -> Iterator[int]:
    """How many rows are copied, after each insert."""
    run, done = secrets.token_hex(8), 0
    known = () if table.replaces else _hashes(target, table, partition)
    for number, batches in enumerate(_together(_rows(source, table, partition, known))):
        target.insert(table.name, batches, f"copy/{run}/{number}")
        done += sum(batch.num_rows for batch in batches)
        yield done


def _hashes(store: Store, table: _Table, partition: str) -> Sequence[int]:
    """Of a partition's rows; only of a table whose rows do not replace each other, which has few."""
    found = store.query(
        f"SELECT cityHash64({table.keys}) FROM {quote_identifier(table.name)} "  # noqa: S608 - names of the schema
        "WHERE _partition_id = {partition:String}",
        {"partition": partition},
    )
    return [int(each) for each in found.column(0).to_pylist()]


def _rows(source: Store, table: _Table, partition: str, known: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """Those of a partition whose hashes are not known."""
    but = f"AND cityHash64({table.keys}) NOT IN ({', '.join(map(str, known))})" if known else ""
    with closing(source.handle()) as handle:
        try:
            handle.text(f"USE {quote_identifier(source.database)}")
            handle.text("SET " + ", ".join(f"{name} = {value}" for name, value in _READING.items()))
            bound = {"table": table.name, "partition": partition}
            yield from handle.stream(f"{named_query('rows_of_partition')} {but}", bound)
        except EngineError as error:
            raise Unavailable(Reason.STORE, f"{table.name} cannot be read: {error}") from error


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
