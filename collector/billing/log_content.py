"""Content of model calls that comes as log records: it becomes the input and output of the span it belongs to.

Which records have content, and how they say it, is `log_content` in the convention files; they name the span in their
trace and span id. Whichever comes first, record or span, the span is written again once both are stored, as a new
version with the content that it lacks.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.across_batches import EnrichedRows, query_parameters
from collector.billing.completing import Completer
from collector.enrich.conventions.families import Family
from collector.enrich.conventions.log_content import continues
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query


class LoggedContent:
    """Belongs to the drain's thread. Remembers the spans that records had content of: they may come later, or again."""

    def __init__(self, families: Iterable[Family], completer: Completer, max_remembered: int = 50_000) -> None:
        self._rules = [family.log_content for family in families if family.log_content]
        self._events = [rules.prefix for rules in self._rules]
        self._columns = {rules.input: "Input" for rules in self._rules} | {
            rules.output: "Output" for rules in self._rules
        }
        self._completer = completer
        self._max_remembered = max_remembered
        self._spans: OrderedDict[SpanKey, None] = OrderedDict()
        self._met: Store | None = None

    def follow_logs(self, store: Store, batches: Sequence[pa.RecordBatch]) -> None:
        """These records are stored. Raises Unavailable."""
        told = [key for batch in batches for key in self._told(batch)]
        if told:
            self._remember(told)
            self._join(store, told)

    def follow_spans(self, store: Store, enriched: EnrichedRows) -> None:
        """These spans are stored. Raises Unavailable."""
        self._on_first_use(store)
        if self._spans:
            self._join(store, [key for key in _keys(enriched.spans) if key in self._spans])

    def _on_first_use(self, store: Store) -> None:
        if self._met is not store:
            found = store.query(
                named_query("recent_log_contents"), {"limit": self._max_remembered, "events": self._events}
            )
            self._remember(_keys(found))
            self._met = store

    def _remember(self, keys: Iterator[SpanKey] | Sequence[SpanKey]) -> None:
        for key in keys:
            self._spans[key] = None
            self._spans.move_to_end(key)
        while len(self._spans) > self._max_remembered:
            self._spans.popitem(last=False)

    def _join(self, store: Store, keys: Collection[SpanKey]) -> None:
        for part in slices(sorted(set(keys)), MAX_KEYS_IN_QUERY):
            stored = store.query(named_query("span_rows"), query_parameters(part))
            if stored.num_rows:
                contents = self._contents(store, part)
                lacking = [self._lacking(row, contents) for row in _described(stored)]
                self._completer.complete(store, stored, lacking, "content")

    def _told(self, batch: pa.RecordBatch) -> Iterator[SpanKey]:
        """The spans that records of these events name."""
        for prefix in self._events:
            events = pc.starts_with(batch.column("Event"), prefix)
            if pc.any(events).as_py():
                yield from (key for key in _keys(batch.filter(events)) if key[1])

    def _contents(self, store: Store, keys: Sequence[SpanKey]) -> dict[SpanKey, dict[str, str]]:
        """What the records of these spans say."""
        parameters = {**query_parameters(keys), "events": self._events}
        records: dict[SpanKey, list[Mapping[str, Any]]] = defaultdict(list)
        for row in store.query(named_query("log_contents"), parameters).to_pylist():
            records[(row["Project"], row["TraceId"]), row["SpanId"]].append(row)
        return {
            key: dict(chain.from_iterable(rules.content(found).items() for rules in self._rules))
            for key, found in records.items()
        }

    def _lacking(self, row: Mapping[str, Any], contents: Mapping[SpanKey, Mapping[str, str]]) -> dict[str, str]:
        """The content that records have of a span, and it does not."""
        said = contents.get(((row["Project"], row["TraceId"]), row["SpanId"]), {})
        return {key: text for key, text in said.items() if _lacks(row, self._columns.get(key, ""), key, text)}


def _keys(rows: pa.RecordBatch | pa.Table) -> Iterator[SpanKey]:
    columns = (rows.column(name).to_pylist() for name in ("Project", "TraceId", "SpanId"))
    return (((project, trace_id), span_id) for project, trace_id, span_id in zip(*columns, strict=True))


def _described(stored: pa.Table) -> list[dict[str, Any]]:
    columns = ["Project", "TraceId", "SpanId", "Input", "Output", "InputKey", "OutputKey", "SpanAttributes"]
    return stored.select(columns).to_pylist()  # type: ignore[no-any-return]


def _lacks(row: Mapping[str, Any], column: str, key: str, text: str) -> bool:
    """Whether `text` of `key` is to be the span's: it has none in that column, or only the beginning of it."""
    named = row[f"{column}Key"] if column else key
    own = row[column] if column and named == key else dict(row["SpanAttributes"]).get(key, "")
    return named in ("", key) and (not own or continues(text, own))
