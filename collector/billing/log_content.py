"""Content of model calls that comes as log records: it becomes the input and output of the span it belongs to.

OpenTelemetry's events of generative AI name the span in their trace and span id. Whichever comes first, record or span,
the span is written again once both are stored, as a new version with the content that it lacks.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.across_batches import Billing, query_parameters
from collector.billing.refused import SetAside, insert_or_set_aside
from collector.enrich.stored import decoded_again
from collector.model.columns import MAP
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey
from collector.slices import slices
from collector.spending.feed import Writing
from collector.store.client import Store
from collector.store.sql import named_query

# How the names of these events begin, and the attributes that hold content: the semantic conventions of generative AI,
# event gen_ai.client.inference.operation.details. An attribute counts where the span has no content in that column.
_EVENTS: Final = "gen_ai."
_INPUT, _OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
_COLUMNS: Final[Mapping[str, str]] = {_INPUT: "InputKey", _OUTPUT: "OutputKey"}
CONTENT_KEYS: Final = (_INPUT, _OUTPUT, "gen_ai.system_instructions", "gen_ai.tool.definitions")
# Above a price and a decision on who is billed, so that neither brings back a row without content.
_STEP: Final = 4


class LoggedContent:
    """Belongs to the drain's thread. Remembers the spans that records had content of: they may come later, or again."""

    def __init__(
        self, billing: Billing, writing: Writing, set_aside: SetAside, max_remembered: int = 50_000
    ) -> None:
        self._billing = billing
        self._writing = writing
        self._set_aside = set_aside
        self._max_remembered = max_remembered
        self._spans: OrderedDict[SpanKey, None] = OrderedDict()
        self._met: Store | None = None

    def follow_logs(self, store: Store, batches: Sequence[pa.RecordBatch]) -> None:
        """These records are stored. Raises like `Store.insert`."""
        told = [key for batch in batches for key in _told(batch)]
        if told:
            self._remember(told)
            self._join(store, told)

    def follow_spans(self, store: Store, spans: pa.RecordBatch) -> None:
        """These spans are stored; `spans` has their ids. Raises like `Store.insert`."""
        self._on_first_use(store)
        if self._spans:
            self._join(store, [key for key in _keys(spans) if key in self._spans])

    def _on_first_use(self, store: Store) -> None:
        if self._met is not store:
            found = store.query(named_query("recent_log_contents"), {"limit": self._max_remembered, "events": _EVENTS})
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
                self._write(store, stored, _contents(store, part))

    def _write(self, store: Store, stored: pa.Table, contents: Mapping[SpanKey, Mapping[str, str]]) -> None:
        lacking = [_lacking(row, contents) for row in _described(stored)]
        if not any(lacking):
            return
        chosen = pa.array([bool(content) for content in lacking])
        batch = _with_content(decoded_again(stored.filter(chosen), _STEP), [content for content in lacking if content])
        enriched = self._billing.enrich(store, [batch])
        with self._writing(store, enriched.traces, True) as feed:
            for _, rows, _ in enriched.by_day():
                for each in rows.to_batches():
                    insert_or_set_aside(store, each, "content", feed.insert, self._set_aside)
            self._billing.write_revisions(store, enriched, feed.insert)


def _told(batch: pa.RecordBatch) -> Iterator[SpanKey]:
    """The spans that records of these events name."""
    events = pc.starts_with(batch.column("Event"), _EVENTS)
    if pc.any(events).as_py():
        yield from (key for key in _keys(batch.filter(events)) if key[1])


def _keys(rows: pa.RecordBatch | pa.Table) -> Iterator[SpanKey]:
    columns = (rows.column(name).to_pylist() for name in ("Project", "TraceId", "SpanId"))
    return (((project, trace_id), span_id) for project, trace_id, span_id in zip(*columns, strict=True))


def _described(stored: pa.Table) -> list[dict[str, Any]]:
    columns = ["Project", "TraceId", "SpanId", "InputKey", "OutputKey", "SpanAttributes"]
    return stored.select(columns).to_pylist()  # type: ignore[no-any-return]


def _contents(store: Store, keys: Sequence[SpanKey]) -> dict[SpanKey, dict[str, str]]:
    """What the records of these spans say, of equal keys the last."""
    parameters = {**query_parameters(keys), "events": _EVENTS}
    found: dict[SpanKey, dict[str, str]] = {}
    for row in store.query(named_query("log_contents"), parameters).to_pylist():
        said = {key: value for key, value in row["LogAttributes"] if key in CONTENT_KEYS and value}
        found.setdefault(((row["Project"], row["TraceId"]), row["SpanId"]), {}).update(said)
    return found


def _lacking(row: Mapping[str, Any], contents: Mapping[SpanKey, Mapping[str, str]]) -> dict[str, str]:
    """The content that records have of a span, and it does not."""
    own = dict(row["SpanAttributes"])
    said = contents.get(((row["Project"], row["TraceId"]), row["SpanId"]), {})
    return {key: value for key, value in said.items() if not (key in own or row.get(_COLUMNS.get(key, "")))}


def _with_content(batch: pa.RecordBatch, contents: Sequence[Mapping[str, str]]) -> pa.RecordBatch:
    position = batch.schema.get_field_index("SpanAttributes")
    attributes = [
        [*own, *content.items()] for own, content in zip(batch.column(position).to_pylist(), contents, strict=True)
    ]
    return batch.set_column(position, batch.schema.field(position), pa.array(attributes, MAP))
