"""What the drain does with the envelopes of one segment, without a spool."""

from collections.abc import Sequence

from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.config import PricingConfig
from collector.decode import decode
from collector.model.envelope import Envelope
from collector.store import Store
from collector.store.writer import insert_spans

ENRICHER = enricher(PricingConfig())


def deliver(store: Store, billing: Billing, envelopes: Sequence[Envelope], token: str) -> None:
    """Decode, enrich, insert by day and settle."""
    batch = decode(envelopes)
    judged = billing.enrich(store, [batch])
    for day, rows, _ in judged.by_day():
        insert_spans(store, rows, f"{token}-{day}")
    billing.write_revisions(store, judged)
