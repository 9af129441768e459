"""What names a trace, and a span, in rows of spans."""

from collections.abc import Iterator

import pyarrow as pa

from collector.slices import arrow_slices

TraceKey = tuple[str, str]  # project, trace id
SpanKey = tuple[TraceKey, str]  # the trace, span id
RowInTrace = tuple[int, str]  # hour of the start, span id: what the table's sort key adds to the trace

# Keys go to a server as URL parameters, which it bounds to a megabyte: a query has no more of them than this.
MAX_KEYS_IN_QUERY = 1_000

_ROWS = 1_000


def trace_keys(rows: pa.RecordBatch | pa.Table) -> Iterator[TraceKey]:
    """The trace of each row; made in slices, as no other thread runs while one is."""
    for part in arrow_slices(rows, _ROWS):
        yield from zip(part.column("Project").to_pylist(), part.column("TraceId").to_pylist(), strict=True)
