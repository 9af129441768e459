"""What each signal goes through on its way from envelopes to rows, as data."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa

from collector.billing import spans
from collector.billing.across_batches import Billing
from collector.decode import decode, decode_logs, decode_metrics, one_log, one_point, one_span, points_in
from collector.model.envelope import Envelope, Signal
from collector.model.metric_columns import MetricKind
from collector.spending.feed import Writing, uncounted
from collector.store.client import Store
from collector.store.tables import LOGS, POINTS, SPANS, Table
from collector.store.writer import Insert, TableRows
from collector.storing.dated import DatedRows, Follow, nothing
from collector.storing.times import ANY_TIME, TimeLimits
from collector.telemetry import Metrics


class ReadyRows(Protocol):
    """Enriched rows."""

    def by_day(self) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
        """The rows to store by UTC day: a label stable for these rows, the rows, and their positions as decoded."""
        ...

    def inserting(self, *, again: bool) -> AbstractContextManager[Insert]:
        """The context to insert all the rows in; `again` when the store may have some of them already."""


def _items(envelope: Envelope) -> int:
    return envelope.items


@dataclass(frozen=True, slots=True)
class TablePath:
    """How decoded rows of one table are stored.

    `one_item` is the envelope that holds only one of the rows decoded from an envelope, and `rows` how many these are;
    `enrich` raises Unavailable. Starts beyond `limits` are moved before enrichment.
    """

    table: Table
    one_item: Callable[[Envelope, int], Envelope]
    enrich: Callable[[Store, Sequence[pa.RecordBatch]], ReadyRows]
    limits: TimeLimits | None = None
    rows: Callable[[Envelope], int] = _items


@dataclass(frozen=True, slots=True)
class SignalPath:
    """How envelopes of one signal become rows: `decode` makes one batch for each of `tables`.

    It raises Rejected when an envelope does not decode or the rows are too many for a batch.
    """

    decode: Callable[[Sequence[Envelope]], Sequence[pa.RecordBatch]]
    tables: tuple[TablePath, ...]


def span_path(
    billing: Billing,
    metrics: Metrics,
    writing: Writing = uncounted,
    limits: TimeLimits = ANY_TIME,
    follow: spans.Follow = spans.nothing,
) -> SignalPath:
    """The path of traces; `follow` is called with what is known of the spans that are stored."""
    enricher = spans.SpanEnricher(billing, writing, metrics, follow)
    return SignalPath(lambda envelopes: [decode(envelopes)], (TablePath(SPANS, one_span, enricher.enrich, limits),))


def log_path(metrics: Metrics, limits: TimeLimits = ANY_TIME, follow: Follow = nothing) -> SignalPath:
    """The path of logs; `follow` is called with the batches that are stored."""
    rows = DatedRows.of(LOGS, limits, metrics.stored[Signal.LOGS], follow)
    return SignalPath(lambda envelopes: [decode_logs(envelopes)], (TablePath(LOGS, one_log, rows),))


def metric_path(metrics: Metrics, limits: TimeLimits = ANY_TIME, follow: Follow = nothing) -> SignalPath:
    """The path of metrics: a table for each kind. `follow` is called with the points of sums that are stored."""

    def table_path(kind: MetricKind, table: Table) -> TablePath:
        return TablePath(
            table,
            partial(one_point, kind),
            DatedRows.of(table, limits, metrics.stored[Signal.METRICS], follow if kind is MetricKind.SUM else nothing),
            rows=partial(points_in, kind),
        )

    return SignalPath(decode_metrics, tuple(table_path(kind, table) for kind, table in POINTS.items()))
