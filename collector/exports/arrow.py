"""Rows of `otel_traces` as Arrow, always in the types of the catalogue: what Parquet files are written from."""

from typing import Any, Final

import pyarrow as pa

from collector.model.columns import SPAN_COLUMNS

SCHEMA: Final = pa.schema([pa.field(column.name, column.arrow) for column in SPAN_COLUMNS])


def span_rows(table: pa.Table) -> pa.Table:
    """`table` with the columns of SCHEMA, without the dictionaries and time zones that the store's answers have."""
    columns = [_plain(table.column(field.name), field.type) for field in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def arrow_stream(table: pa.Table) -> bytes:
    """The rows as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(span_rows(table))
    body: bytes = sink.getvalue().to_pybytes()
    return body


def _plain(column: Any, kind: pa.DataType) -> Any:
    return column if column.type == kind else column.cast(kind)
