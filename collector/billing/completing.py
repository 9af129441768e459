"""Stored spans written again, as new versions, with attributes that they lack and that something else tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from collector.billing.across_batches import Billing
from collector.billing.refused import SetAside, insert_or_set_aside
from collector.enrich.stored import decoded_again
from collector.model.columns import MAP
from collector.spending.feed import Writing
from collector.store.client import Store

# Above a price and a decision on who is billed, so that neither brings back a row without what it lacked.
_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class Completer:
    """Belongs to the drain's thread."""

    billing: Billing
    writing: Writing
    set_aside: SetAside

    def complete(self, store: Store, stored: pa.Table, lacking: Sequence[Mapping[str, str]], purpose: str) -> None:
        """Write those of the `stored` rows that lack something, billed anew. Raises Unavailable."""
        if not any(lacking):
            return
        chosen = pa.array([bool(attributes) for attributes in lacking])
        batch = _with_attributes(decoded_again(stored.filter(chosen), _STEP), [each for each in lacking if each])
        enriched = self.billing.enrich(store, [batch])
        with self.writing(store, enriched.traces, True) as feed:
            for _, rows, _ in enriched.by_day():
                for part in rows.to_batches():
                    insert_or_set_aside(store, part, purpose, feed.insert, self.set_aside)
            self.billing.write_revisions(store, enriched, feed.insert)


def _with_attributes(batch: pa.RecordBatch, more: Sequence[Mapping[str, str]]) -> pa.RecordBatch:
    position = batch.schema.get_field_index("SpanAttributes")
    attributes = [
        [*((key, value) for key, value in own if key not in added), *added.items()]
        for own, added in zip(batch.column(position).to_pylist(), more, strict=True)
    ]
    return batch.set_column(position, batch.schema.field(position), pa.array(attributes, MAP))
