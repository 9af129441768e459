"""The spans of one segment on their way into the store: enriched, billed, inserted, earlier rows revised, counted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from collector.billing.across_batches import Billing, EnrichedRows
from collector.spending.feed import Writing
from collector.store.client import Store
from collector.store.writer import Insert
from collector.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class SpanEnricher:
    """Bills decoded spans, and writes them through `writing`, which counts them against budgets."""

    billing: Billing
    writing: Writing
    metrics: Metrics

    def enrich(self, store: Store, batches: Sequence[pa.RecordBatch]) -> "BilledSpans":
        """The rows of decoded batches. Raises Unavailable when the store is needed and does not answer."""
        return BilledSpans(self, store, self.billing.enrich(store, batches))


@dataclass(frozen=True, slots=True)
class BilledSpans:
    """Rows of spans that are ready to be inserted."""

    enricher: SpanEnricher
    store: Store
    enriched: EnrichedRows

    @property
    def num_rows(self) -> int:
        return self.enriched.num_rows

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        return self.enriched.to_batches()

    @contextmanager
    def inserting(self, *, again: bool) -> Iterator[Insert]:
        """The context to insert all the rows in; at its end, earlier rows that they changed are written anew.

        `again` when the store may have some of the rows already. Raises like `Store.insert`.
        """
        billing, metrics = self.enricher.billing, self.enricher.metrics
        with self.enricher.writing(self.store, self.enriched.traces, again) as feed:
            yield feed.insert
            revised = billing.write_revisions(self.store, self.enriched, feed.insert)
        metrics.stored_spans.inc(self.num_rows)
        metrics.revised_spans.inc(revised)
        for model, calls in self.enriched.unpriced.items():
            metrics.count_unpriced(model, calls)
