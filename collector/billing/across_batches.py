"""Who is billed, across batches: a span that arrives late may change what an earlier row of its trace has to say.

`enrich` decides on a batch with what is known of its traces, in memory or else in the store (one query for a thousand
traces, and only for those seen before). `write_revisions` writes the rows that are billed otherwise now again, as new
versions, once the batch is stored. Either may be repeated: a row is rewritten only while it is wrong.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from collector.billing.logged import LoggedCalls, without_usage
from collector.billing.unread import unread_usage
from collector.enrich import Billed, Enricher, ReadBatch, RecentTraces
from collector.enrich.billed.schema import BilledMask
from collector.enrich.stored import LOGGED_DETAIL, VERDICT_STEP, decoded_again, known_spans
from collector.model.columns import NANOSECONDS, TEXT
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey, TraceKey, trace_keys
from collector.model.money import PriceStatus
from collector.model.purposes import JUDGE_SCOPE
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.writer import Insert, TableRows, by_day, insert_spans, insert_versions

log = structlog.get_logger("spanmeter.billing")

_REMEMBERED_TRACES = 200_000


# What keeps rows that moved to another hour, in tokens of inserts, apart from those of the day they moved to. Which
# rows move depends on what memory has, and after a crash it may have something else.
_MOVED = "moved-"


class EnrichedRows:
    """Batches of one segment with who is billed; without the rows that cannot count.

    `replaced` is for what is known of the stored rows that these replace, by whoever looks at them in time.
    """

    def __init__(
        self, enricher: Enricher, readings: Sequence[ReadBatch], spans: pa.RecordBatch, billed: Billed
    ) -> None:
        """`spans` is what deciding on who is billed needs of every row, as `SEEN_SCHEMA`."""
        self.spans = spans
        self.billed = billed
        self._readings = readings
        moved = np.zeros(spans.num_rows, np.bool_)
        moved[list(billed.moved)] = True
        self._kept = _Part(enricher, readings, billed, ~(billed.superseded | moved))
        self._moved = _Part(enricher, readings, billed, moved)
        self._dropped = _Part(enricher, readings, billed, billed.superseded)
        repeated = np.zeros(spans.num_rows, np.bool_)
        repeated[list(billed.repeated)] = True
        self._repeated = _Part(enricher, readings, billed, repeated)
        self.replaced: Sequence[Mapping[str, str]] = ()

    @property
    def num_rows(self) -> int:
        """Rows that cannot count included."""
        return int(self.spans.num_rows)

    @property
    def unpriced(self) -> Counter[str]:
        """The calls whose model has no known price, by model, of the batches that were made."""
        return self._kept.unpriced + self._moved.unpriced

    @property
    def unread(self) -> Counter[str]:
        """The calls with counts of tokens that no convention reads, by scope, of the batches that were made."""
        return self._kept.unread + self._moved.unread

    def traces(self) -> set[TraceKey]:
        """The traces of the batches, and those with rows to be written again."""
        return {*trace_keys(self.spans), *(trace for trace, _ in self.billed.revise)}

    def traces_with_purpose(self) -> set[TraceKey]:
        """The traces of the batches with a span that was made for something else than the product.

        Those of our own judges are left out: each of their spans says it itself.
        """
        stated = np.concatenate([reading.with_purpose for reading in self._readings]) if self._readings else ()
        if not np.any(stated):
            return set()
        spans = self.spans.filter(pa.array(stated))
        return set(trace_keys(spans.filter(pc.not_equal(spans.column("ScopeName"), JUDGE_SCOPE))))

    def dropped(self) -> Iterator[pa.RecordBatch]:
        """The rows that cannot count, made whole like those that are stored."""
        return self._dropped.to_batches()

    def repeated(self) -> Iterator[pa.RecordBatch]:
        """The rows to store of spans that were seen before, made whole."""
        return self._repeated.to_batches()

    def by_day(self) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
        """The rows by UTC day, as `store.writer.by_day` has them; positions are those in the batches given."""
        starts = np.array(self.spans.column("Start"))
        starts[list(self.billed.moved)] = list(self.billed.moved.values())
        for prefix, part in (("", self._kept), (_MOVED, self._moved)):
            for day, rows, positions in by_day(part, [part.starts(starts)]):
                yield f"{prefix}{day}", rows, part.positions(positions)


class _Part:
    """Some rows of the batches, priced and made whole anew each time they are asked for."""

    def __init__(self, enricher: Enricher, readings: Sequence[ReadBatch], billed: Billed, chosen: BilledMask) -> None:
        self._enricher = enricher
        self._readings = readings
        self._billed = billed
        self._chosen = chosen
        self._numbers = None if chosen.all() else np.flatnonzero(chosen)
        self.unpriced: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()

    @property
    def num_rows(self) -> int:
        return len(self._chosen) if self._numbers is None else len(self._numbers)

    def starts(self, starts: npt.NDArray[np.int64]) -> pa.Array:
        return pa.array(starts if self._numbers is None else starts[self._numbers]).cast(NANOSECONDS)

    def positions(self, positions: Sequence[int]) -> Sequence[int]:
        return positions if self._numbers is None else self._numbers[list(positions)].tolist()

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The enriched batches; `unpriced` then counts the calls whose model has no known price, by model.

        `unread` counts the calls with counts of tokens that no convention reads, by scope.
        """
        self.unpriced.clear()
        self.unread.clear()
        begin = 0
        for reading in self._readings:
            end = begin + reading.batch.num_rows
            chosen = self._chosen[begin:end]
            if chosen.any():
                batch = self._finished(reading, begin, end)
                batch = batch if chosen.all() else batch.filter(pa.array(chosen))
                self.unpriced += _unpriced(batch)
                self.unread += unread_usage(batch)
                yield batch
            begin = end

    def _finished(self, reading: ReadBatch, begin: int, end: int) -> pa.RecordBatch:
        moved = {row - begin: start for row, start in self._billed.moved.items() if begin <= row < end}
        placed = reading.starting(moved) if moved else reading
        return self._enricher.finish(placed, self._billed.billed[begin:end])


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
        self.logged = LoggedCalls(enricher.families)
        self._met: Store | None = None

    def enrich(self, store: Store, batches: Sequence[pa.RecordBatch]) -> EnrichedRows:
        """What every row means and who is billed. Raises Unavailable when the store is needed and does not answer.

        The batches are decided on together: what is in the last may decide on a row of the first.
        """
        readings = [self._enricher.read(batch) for batch in batches]
        seen = [self.logged.without_rivals(store, reading.batch, reading.spans) for reading in readings]
        return self._enriched(store, readings, seen)

    def enrich_logged(self, store: Store, derived: pa.RecordBatch, rivals: pa.RecordBatch) -> EnrichedRows:
        """`enrich` of rows that logs make, and of stored rows that tell of the same calls and are billed no longer.

        Of reports that tell as much as each other, those of logs are billed: they are as complete as the sender has it.
        """
        first, second = self._enricher.read(derived), self._enricher.read(rivals)
        seen = [_telling_more(first.spans), without_usage(second.spans, range(rivals.num_rows))]
        return self._enriched(store, [first, second], seen)

    def _enriched(self, store: Store, readings: Sequence[ReadBatch], seen: Sequence[pa.RecordBatch]) -> EnrichedRows:
        self._on_first_use(store)
        spans = pa.concat_batches(seen)
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
        """Learn which traces an earlier run has stored, and load the newest: the next may report the same calls."""
        if self._met is not store:
            table = store.query(named_query("recent_traces"), {"limit": _REMEMBERED_TRACES})
            self._traces.remember(table.column("Project").to_pylist(), table.column("TraceId").to_pylist())
            self._load(store, list(trace_keys(table.slice(0, MAX_KEYS_IN_QUERY))))
            self._met = store

    def _load(self, store: Store, keys: list[TraceKey]) -> None:
        loaded: list[pa.RecordBatch] = []
        for part in slices(keys, MAX_KEYS_IN_QUERY):
            parameters = {"projects": [key[0] for key in part], "trace_ids": [key[1] for key in part]}
            table = store.query(named_query("known_spans"), parameters)
            loaded.append(known_spans(table, self._enricher.providers.canonical))
        if loaded:
            self._traces.load(pa.concat_batches(loaded))

    def _revise(self, store: Store, changes: Mapping[SpanKey, bool], insert: Insert) -> int:
        table = store.query(named_query("span_rows"), query_parameters(changes))
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


def _telling_more(spans: pa.RecordBatch) -> pa.RecordBatch:
    position = spans.schema.get_field_index("Detail")
    field = spans.schema.field(position)
    return spans.set_column(position, field, pc.add(spans.column(position), LOGGED_DETAIL).cast(field.type))


def query_parameters(keys: Iterable[SpanKey]) -> dict[str, list[str]]:
    """The parameters of the query `span_rows`."""
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
