"""Rows that follow from what is stored, of which one that the store refuses is set aside alone, and others go on."""

from collections.abc import Callable

import pyarrow as pa

from collector.errors import Rejected
from collector.exports.otlp import otlp_request
from collector.model.envelope import Envelope
from collector.store.client import Store
from collector.store.writer import Insert, insert_versions

# Keeps an envelope that can never be stored, under a name that says where it came from. Raises Unavailable.
SetAside = Callable[[str, Rejected, Envelope], None]


def insert_or_set_aside(store: Store, batch: pa.RecordBatch, purpose: str, insert: Insert, set_aside: SetAside) -> None:
    """Insert new versions of rows of `otel_traces`; those that the store refuses are set aside, each as a span.

    Sent again, it is stored as the row would have been. `purpose` begins their tokens and, up to a slash, the names of
    what is set aside. Raises Unavailable.
    """
    try:
        insert_versions(store, batch, purpose, insert)
    except Rejected as error:
        half = batch.num_rows // 2
        if half:
            for part in (batch.slice(0, half), batch.slice(half)):
                insert_or_set_aside(store, part, purpose, insert, set_aside)
        else:
            _set_aside(batch, purpose, error, set_aside)


def _set_aside(row: pa.RecordBatch, purpose: str, error: Rejected, set_aside: SetAside) -> None:
    trace_id, span_id, project, received = (
        row.column(name)[0] for name in ("TraceId", "SpanId", "Project", "ReceivedAt")
    )
    payload = otlp_request(pa.Table.from_batches([row])).SerializeToString()
    envelope = Envelope(project.as_py(), received.cast(pa.int64()).as_py(), 1, payload)
    set_aside(f"{purpose.partition('/')[0]}-{trace_id}-{span_id}", error, envelope)
