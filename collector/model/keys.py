"""What names a trace in rows of spans."""

from collections.abc import Iterator

import pyarrow as pa

TraceKey = tuple[str, str]  # project, trace id

_AT_ONCE = 1_000


def trace_keys(rows: pa.RecordBatch | pa.Table) -> Iterator[TraceKey]:
    """The trace of each row; made in pieces, as no other thread runs while a piece is."""
    for begin in range(0, rows.num_rows, _AT_ONCE):
        part = rows.slice(begin, _AT_ONCE)
        yield from zip(part.column("Project").to_pylist(), part.column("TraceId").to_pylist(), strict=True)
