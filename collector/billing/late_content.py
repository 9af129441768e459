"""Content in reports of a span that do not count, since a more complete one does: the span gets what it lacks of it.

Libraries that update a span after its end report it again with little more than its input or output.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from collector.billing.across_batches import EnrichedRows, query_parameters
from collector.billing.completing import Completer
from collector.model.content import moved_content
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query

_COLUMNS = ["Project", "TraceId", "SpanId", "InputKey", "Input", "OutputKey", "Output"]
_SIDES = ("Input", "Output")


class LateContent:
    """Belongs to the drain's thread."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    def follow(self, store: Store, enriched: EnrichedRows) -> None:
        """These spans are stored. Raises Unavailable."""
        told: dict[SpanKey, dict[str, tuple[str, str]]] = defaultdict(dict)
        for row in (row for batch in enriched.dropped() for row in batch.select(_COLUMNS).to_pylist()):
            for side in _SIDES:
                if row[side] and moved_content(row[f"{side}Key"], row[side], "", ""):
                    told[_key(row)][side] = row[f"{side}Key"], row[side]
        for part in slices(sorted(told), MAX_KEYS_IN_QUERY):
            stored = store.query(named_query("span_rows"), query_parameters(part))
            lacking = [_lacking(row, told[_key(row)]) for row in stored.select(_COLUMNS).to_pylist()]
            self._completer.complete(store, stored, lacking, "content")


def _lacking(row: Mapping[str, Any], told: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    return dict(pair for side, pair in told.items() if not row[f"{side}Key"])


def _key(row: Mapping[str, Any]) -> SpanKey:
    return (row["Project"], row["TraceId"]), row["SpanId"]
