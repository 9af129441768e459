"""What each signal goes through on its way from envelopes to rows, as data."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from collector.billing.across_batches import Billing
from collector.billing.spans import SpanEnricher
from collector.decode import decode, one_span
from collector.model.envelope import Envelope
from collector.spending.feed import Writing, uncounted
from collector.store.client import Store
from collector.store.tables import SPANS, Table
from collector.store.writer import Insert, TableRows
from collector.telemetry import Metrics


class ReadyRows(TableRows, Protocol):
    """Enriched rows."""

    def inserting(self, *, again: bool) -> AbstractContextManager[Insert]:
        """The context to insert all the rows in; `again` when the store may have some of them already."""


@dataclass(frozen=True, slots=True)
class SignalPath:
    """How envelopes of one signal become rows of its table.

    `decode` raises Rejected when an envelope does not decode or the rows are too many for a batch; `one_item` is the
    envelope that holds only one row of those decoded from an envelope; `enrich` raises Unavailable.
    """

    table: Table
    decode: Callable[[Sequence[Envelope]], pa.RecordBatch]
    one_item: Callable[[Envelope, int], Envelope]
    enrich: Callable[[Store, Sequence[pa.RecordBatch]], ReadyRows]


def span_path(billing: Billing, metrics: Metrics, writing: Writing = uncounted) -> SignalPath:
    """The path of traces."""
    return SignalPath(SPANS, decode, one_span, SpanEnricher(billing, writing, metrics).enrich)
