"""Who is billed, across batches: a span that arrives late may change what an earlier row of its trace has to say.

`enrich` decides on a batch with what is known of its traces, in memory or else in the store (one query for a thousand
traces, and only for those seen before). `write_revisions` writes the rows that are billed otherwise now again, as new
versions, once the batch is stored. Either may be repeated: a row is rewritten only while it is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from collector.enrich import Billed, Enricher, ReadBatch, RecentTraces
from collector.enrich.billed.schema import BilledMask
from collector.enrich.stored import VERDICT_STEP, decoded_again, known_spans
from collector.model.columns import TEXT
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey, TraceKey, trace_keys
from collector.model.money import PriceStatus
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.writer import Insert, insert_spans, insert_versions

log = structlog.get_logger("spanmeter.billing")

_REMEMBERED_TRACES = 200_000


class EnrichedRows:
    """Batches of one segment with who is billed, priced and made whole anew each time they are asked for."""

    def __init__(
        self, enricher: Enricher, readings: Sequence[ReadBatch], spans: pa.RecordBatch, billed: Billed
    ) -> None:
        """`spans` is what deciding on who is billed needs of every row, as `SEEN_SCHEMA`."""
        self._enricher = enricher
        self._readings = readings
        self.spans = spans
        self.billed = billed
        self.unpriced: Counter[str] = Counter()

    @property
    def num_rows(self) -> int:
        return int(self.spans.num_rows)

    def traces(self) -> set[TraceKey]:
        """The traces of the batches, and those with rows to be written again."""
        return {*trace_keys(self.spans), *(trace for trace, _ in self.billed.revise)}

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The enriched batches; `unpriced` then counts the calls whose model has no known price, by model."""
        self.unpriced.clear()
        begin = 0
        for reading in self._readings:
            end = begin + reading.batch.num_rows
            batch = self._enricher.finish(reading, self.billed.billed[begin:end])
            self.unpriced += _unpriced(batch)
            yield batch
            begin = end


def _unpriced(batch: pa.RecordBatch) -> Counter[str]:
    unknown = pc.equal(batch.column("PriceStatus").cast(TEXT), PriceStatus.UNKNOWN_MODEL.value)
    if not pc.any(unknown).as_py():
        return Counter()
    models = (batch.column(name).filter(unknown).to_pylist() for name in ("ResponseModel", "RequestModel"))
    return Counter(response or request for response, request in zip(*models, strict=True))


class Billing:
    """Belongs to the drain's thread."""

    def __init__(self, enricher: Enricher, traces: RecentTraces) -> None:
        self._enricher = enricher
        self._traces = traces
        self._met: Store | None = None

    def enrich(self, store: Store, batches: Sequence[pa.RecordBatch]) -> EnrichedRows:
        """What every row means and who is billed. Raises Unavailable when the store is needed and does not answer.

        The batches are decided on together: what is in the last may decide on a row of the first.
        """
        self._on_first_use(store)
        readings = [self._enricher.read(batch) for batch in batches]
        spans = pa.concat_batches([reading.spans for reading in readings])
        self._load(store, self._traces.forgotten(spans))
        return EnrichedRows(self._enricher, readings, spans, self._traces.absorb(spans))

    def write_revisions(self, store: Store, enriched: EnrichedRows, insert: Insert = insert_spans) -> int:
        """The batch is stored: write the earlier rows that are billed otherwise now, through `insert`; how many."""
        changed = list(enriched.billed.revise.items())
        revised = 0
        for part in slices(changed, MAX_KEYS_IN_QUERY):
            revised += self._revise(store, dict(part), insert)
        self._traces.confirm(enriched.spans, enriched.billed)
        return revised

    def _on_first_use(self, store: Store) -> None:
        """Learn which traces an earlier run has stored."""
        if self._met is not store:
            table = store.query(named_query("recent_traces"), {"limit": _REMEMBERED_TRACES})
            self._traces.remember(table.column("Project").to_pylist(), table.column("TraceId").to_pylist())
            self._met = store

    def _load(self, store: Store, keys: list[TraceKey]) -> None:
        loaded: list[pa.RecordBatch] = []
        for part in slices(keys, MAX_KEYS_IN_QUERY):
            parameters = {"projects": [key[0] for key in part], "trace_ids": [key[1] for key in part]}
            loaded.append(known_spans(store.query(named_query("known_spans"), parameters)))
        if loaded:
            self._traces.load(pa.concat_batches(loaded))

    def _revise(self, store: Store, changes: Mapping[SpanKey, bool], insert: Insert) -> int:
        table = store.query(named_query("span_rows"), _parameters(changes))
        billed_now = _billed_now(changes, table)
        stored = [status != PriceStatus.ROLLED_UP.value for status in table.column("PriceStatus").to_pylist()]
        wrong = billed_now != np.array(stored, np.bool_)
        if not wrong.any():
            return 0
        reading = self._enricher.read(decoded_again(table.filter(pa.array(wrong)), VERDICT_STEP))
        batch = self._enricher.finish(reading, billed_now[wrong])
        insert_versions(store, batch, "revise", insert)
        log.info("Spans that arrived later changed who is billed.", rows=batch.num_rows)
        return int(batch.num_rows)


def _parameters(keys: Iterable[SpanKey]) -> dict[str, list[str]]:
    listed = list(keys)
    return {
        "projects": [trace[0] for trace, _ in listed],
        "trace_ids": [trace[1] for trace, _ in listed],
        "span_ids": [span_id for _, span_id in listed],
    }


def _billed_now(changes: Mapping[SpanKey, bool], table: pa.Table) -> BilledMask:
    """Whether each row of `table` is billed now."""
    columns = (table.column(name).to_pylist() for name in ("Project", "TraceId", "SpanId"))
    keys = zip(*columns, strict=True)
    return np.array([changes[(project, trace_id), span_id] for project, trace_id, span_id in keys], np.bool_)
