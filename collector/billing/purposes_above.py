"""Spans below one that was made for something else than the product: they were made for the same.

An evaluator's calls cost money that is not the product's, whether they say so themselves or stand below its span.
Whichever comes first, they are written again once both are stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from collector.billing.across_batches import EnrichedRows, query_parameters
from collector.billing.completing import Completer
from collector.billing.spans_above import by_key, nearest_above
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey, TraceKey
from collector.model.purposes import ATTRIBUTE, JUDGE_SCOPE
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query

_MAX_KNOWN: Final = 20_000


class PurposesAbove:
    """Belongs to the drain's thread."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer
        self._known: dict[TraceKey, None] = {}  # with such a span, the oldest first: more may come below it
        self._met: Store | None = None

    def follow(self, store: Store, enriched: EnrichedRows) -> None:
        """These spans are stored. Raises Unavailable."""
        self._on_first_use(store)
        touched = enriched.traces_with_purpose()
        if self._known:
            touched |= self._known.keys() & enriched.traces()
        self._remember(touched)
        for part in slices(sorted(touched), MAX_KEYS_IN_QUERY):
            self._complete(store, part)

    def _on_first_use(self, store: Store) -> None:
        if self._met is not store:
            parameters = {"scope": JUDGE_SCOPE, "limit": _MAX_KNOWN}
            for row in store.query(named_query("recent_purposes"), parameters).to_pylist():
                self._known[row["Project"], row["TraceId"]] = None
            self._met = store

    def _remember(self, traces: Iterable[TraceKey]) -> None:
        for trace in traces:
            self._known.pop(trace, None)
            self._known[trace] = None
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def _complete(self, store: Store, traces: Sequence[TraceKey]) -> None:
        parameters = {
            "projects": [project for project, _ in traces],
            "trace_ids": [trace_id for _, trace_id in traces],
        }
        found = _purposes(store.query(named_query("purposes_above"), parameters).to_pylist())
        for part in slices(sorted(found), MAX_KEYS_IN_QUERY):
            stored = store.query(named_query("span_rows"), query_parameters(part))
            keys = stored.select(["Project", "TraceId", "SpanId"]).to_pylist()
            lacking = [{ATTRIBUTE: found[(row["Project"], row["TraceId"]), row["SpanId"]]} for row in keys]
            self._completer.complete(store, stored, lacking, "purpose")


def _purposes(rows: Sequence[Mapping[str, Any]]) -> dict[SpanKey, str]:
    """Of the spans that have none, those above which a span has one."""
    spans = by_key(rows)
    return {
        key: purpose
        for key, row in spans.items()
        if not row["Purpose"] and (purpose := nearest_above(spans, key, "Purpose"))
    }
