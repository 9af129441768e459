"""Content in reports of a span that do not count, since a more complete or a later one does: the span gets what it
lacks of it, whichever report comes first.

Libraries that update a span after its end report it again with little more than its input or output.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from collector.billing.across_batches import EnrichedRows, query_parameters
from collector.billing.completing import Completer
from collector.model.content import moved_content
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query

_KEYS = ["Project", "TraceId", "SpanId"]
_COLUMNS = [*_KEYS, "InputKey", "Input", "OutputKey", "Output"]
_SIDES = ("Input", "Output")
# Content of stored rows that is held while the rows of a segment replace them.
_MAX_BYTES: Final = 64 * 1024 * 1024

_Told = Mapping[str, tuple[str, str]]  # key and text by side


def replaced_contents(store: Store, enriched: EnrichedRows, max_bytes: int = _MAX_BYTES) -> list[dict[str, str]]:
    """What stored rows have, of the content that rows which are to replace them lack. Raises Unavailable.

    Beyond `max_bytes` the rows with most are left out.
    """
    found: list[dict[str, str]] = []
    left = max_bytes
    for part in slices(sorted(set(_without_content(enriched))), MAX_KEYS_IN_QUERY):
        contents = store.query(named_query("span_contents"), {**query_parameters(part), "bytes": left})
        left = max(left - contents.nbytes, 0)
        found += contents.to_pylist()
    return found


def _without_content(enriched: EnrichedRows) -> Iterator[SpanKey]:
    for batch in enriched.repeated():
        for row in batch.select([*_KEYS, "InputKey", "OutputKey"]).to_pylist():
            if not (row["InputKey"] and row["OutputKey"]):
                yield _key(row)


class LateContent:
    """Belongs to the drain's thread."""

    def __init__(self, completer: Completer) -> None:
        self._completer = completer

    def follow(self, store: Store, enriched: EnrichedRows) -> None:
        """These spans are stored. Raises Unavailable."""
        told = _told(enriched)
        for part in slices(sorted(told), MAX_KEYS_IN_QUERY):
            stored = store.query(named_query("span_rows"), query_parameters(part))
            lacking = [_lacking(row, told[_key(row)]) for row in stored.select(_COLUMNS).to_pylist()]
            self._completer.complete(store, stored, lacking, "content")


def _told(enriched: EnrichedRows) -> Mapping[SpanKey, _Told]:
    """The content of each span in rows that do not count, of several the last."""
    told: dict[SpanKey, dict[str, tuple[str, str]]] = defaultdict(dict)
    for row in (*enriched.replaced, *_dropped(enriched)):
        for side in _SIDES:
            if row[side] and moved_content(row[f"{side}Key"], row[side], "", ""):
                told[_key(row)][side] = row[f"{side}Key"], row[side]
    return told


def _dropped(enriched: EnrichedRows) -> Iterable[Mapping[str, Any]]:
    return (row for batch in enriched.dropped() for row in batch.select(_COLUMNS).to_pylist())


def _lacking(row: Mapping[str, Any], told: _Told) -> dict[str, str]:
    return dict(pair for side, pair in told.items() if not row[f"{side}Key"])


def _key(row: Mapping[str, Any]) -> SpanKey:
    return (row["Project"], row["TraceId"]), row["SpanId"]
