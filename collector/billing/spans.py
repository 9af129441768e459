"""The spans of one segment on their way into the store: enriched, billed, inserted, earlier rows revised, counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.across_batches import Billing, EnrichedRows
from collector.billing.late_content import replaced_contents
from collector.model.envelope import Signal
from collector.spending.feed import Writing
from collector.store.client import Store
from collector.store.writer import Insert, TableRows
from collector.telemetry import Metrics

_SECOND = 1_000_000_000


class Ahead(NamedTuple):
    """How many spans start over a second after they were received, and by how much at most."""

    spans: int = 0
    seconds: float = 0.0


def ahead_of_receipt(batches: Sequence[pa.RecordBatch]) -> Ahead:
    """By the clocks of the senders and ours."""
    spans, most = 0, 0
    for batch in batches:
        if batch.num_rows:
            ahead = pc.subtract(batch.column("Timestamp").cast(pa.int64()), batch.column("ReceivedAt").cast(pa.int64()))
            most = max(most, pc.max(ahead).as_py())
            spans += pc.sum(pc.greater(ahead, _SECOND)).as_py() if most > _SECOND else 0
    return Ahead(spans, most / _SECOND)


# What follows from spans once they are stored.
Follow = Callable[[Store, EnrichedRows], None]


def each(*follows: Follow) -> Follow:
    """One after the other."""

    def follow(store: Store, enriched: EnrichedRows) -> None:
        for one in follows:
            one(store, enriched)

    return follow


def nothing(_: Store, __: EnrichedRows) -> None:
    """Nothing follows."""


@dataclass(frozen=True, slots=True)
class SpanEnricher:
    """Bills decoded spans, and writes them through `writing`, which budgets count; then calls `follow`."""

    billing: Billing
    writing: Writing
    metrics: Metrics
    follow: Follow = nothing

    def enrich(self, store: Store, batches: Sequence[pa.RecordBatch]) -> "BilledSpans":
        """The rows of decoded batches. Raises Unavailable when the store is needed and does not answer."""
        enriched = self.billing.enrich(store, batches)
        enriched.replaced = replaced_contents(store, enriched)
        return BilledSpans(self, store, enriched, ahead_of_receipt(batches))


@dataclass(frozen=True, slots=True)
class BilledSpans:
    """Rows of spans that are ready to be inserted."""

    enricher: SpanEnricher
    store: Store
    enriched: EnrichedRows
    ahead: Ahead

    @property
    def num_rows(self) -> int:
        return self.enriched.num_rows

    def by_day(self) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
        return self.enriched.by_day()

    @contextmanager
    def inserting(self, *, again: bool) -> Iterator[Insert]:
        """The context to insert all the rows in; at its end, earlier rows that they changed are written anew.

        `again` when the store may have some of the rows already. Raises like `Store.insert`.
        """
        billing, metrics = self.enricher.billing, self.enricher.metrics
        with self.enricher.writing(self.store, self.enriched.traces, again) as feed:
            yield feed.insert
            revised = billing.write_revisions(self.store, self.enriched, feed.insert)
        self.enricher.follow(self.store, self.enriched)
        metrics.stored[Signal.TRACES].inc(self.num_rows)
        metrics.revised_spans.inc(revised)
        metrics.ahead_spans.inc(self.ahead.spans)
        metrics.ahead_seconds.set(self.ahead.seconds)
        for model, calls in self.enriched.unpriced.items():
            metrics.count_unpriced(model, calls)
        for scope, calls in self.enriched.unread.items():
            metrics.count_unread_usage(scope, calls)
