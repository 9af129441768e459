"""Calls that report usage and no model: they take that of the nearest span above them which has one.

Whichever comes first, the call is written again once both are stored. Families whose calls are so say it
(`model_from_above`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.across_batches import EnrichedRows, query_parameters
from collector.billing.completing import Completer
from collector.billing.spans_above import by_key, nearest_above
from collector.enrich.conventions.families import Family
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey, TraceKey, trace_keys
from collector.model.sessions import DERIVED_SCOPE
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query


class ModelsAbove:
    """Belongs to the drain's thread."""

    def __init__(self, families: Iterable[Family], completer: Completer) -> None:
        self._attributes = {
            scope: family.model_from_above
            for family in families
            if family.model_from_above
            for scope in family.recognise.scopes
            if not scope.startswith(DERIVED_SCOPE)
        }
        self._completer = completer

    def follow(self, store: Store, enriched: EnrichedRows) -> None:
        """These spans are stored. Raises Unavailable."""
        if traces := self._touched(enriched.spans):
            for part in slices(sorted(traces), MAX_KEYS_IN_QUERY):
                self._complete(store, part)

    def _touched(self, spans: pa.RecordBatch) -> set[TraceKey]:
        """The traces in which a call may have come, or a model."""
        chosen = np.zeros(spans.num_rows, np.bool_)
        for scope in self._attributes:
            chosen |= pc.starts_with(spans.column("ScopeName"), scope).to_numpy(zero_copy_only=False)
        return set(trace_keys(spans.filter(pa.array(chosen)))) if chosen.any() else set()

    def _complete(self, store: Store, traces: Sequence[TraceKey]) -> None:
        parameters = {
            "projects": [project for project, _ in traces],
            "trace_ids": [trace_id for _, trace_id in traces],
            "scopes": list(self._attributes),
        }
        found = _models(store.query(named_query("models_above"), parameters).to_pylist())
        for part in slices(sorted(found), MAX_KEYS_IN_QUERY):
            stored = store.query(named_query("span_rows"), query_parameters(part))
            lacking = [self._lacking(row, found) for row in _named(stored)]
            self._completer.complete(store, stored, lacking, "model")

    def _lacking(self, row: Mapping[str, Any], models: Mapping[SpanKey, str]) -> dict[str, str]:
        attribute = next(name for scope, name in self._attributes.items() if row["ScopeName"].startswith(scope))
        return {attribute: models[(row["Project"], row["TraceId"]), row["SpanId"]]}


def _models(rows: Sequence[Mapping[str, Any]]) -> dict[SpanKey, str]:
    """Of the calls that lack a model, those above which a span has one."""
    spans = by_key(rows)
    found: dict[SpanKey, str] = {}
    for key, row in spans.items():
        if row["Lacks"] and (model := nearest_above(spans, key, "RequestModel")):
            found[key] = model
    return found


def _named(stored: pa.Table) -> list[dict[str, Any]]:
    return stored.select(["Project", "TraceId", "SpanId", "ScopeName"]).to_pylist()  # type: ignore[no-any-return]
