"""Sessions of coding agents: what their stored logs tell of calls and tools, as rows of spans that are billed.

After log records are stored, the turns they belong to are read back and made into rows anew; those that say something
else than before are written, billed together with the spans of their traces. All follows from what is stored, so it
may be repeated.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.across_batches import Billing, query_parameters
from collector.billing.refused import SetAside, insert_or_set_aside
from collector.billing.session_events import SessionReader, touched_sessions
from collector.enrich.sessions import Event, Row, batch_of, derived, withdrawn
from collector.enrich.stored import VERDICT_STEP, decoded_again
from collector.model.columns import DECODED_SCHEMA, TEXT
from collector.model.keys import MAX_KEYS_IN_QUERY, SpanKey
from collector.slices import slices
from collector.spending.feed import Writing
from collector.store.client import Store
from collector.store.sql import named_query
from collector.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class SessionWriter:
    """Writes what logs tell of sessions. Belongs to the drain's thread."""

    reader: SessionReader
    billing: Billing
    writing: Writing
    metrics: Metrics
    set_aside: SetAside

    def write(self, store: Store, batches: Sequence[pa.RecordBatch]) -> None:
        """The records of `batches` are stored: write the rows that follow from them. Raises Unavailable."""
        arrived = _arrived(batches, self.reader.sources.names)
        if arrived.num_rows:
            keys = frozenset(arrived.column("RowKey").to_pylist())
            for events in self.reader.events(store, touched_sessions(arrived)):
                self._write(store, events, keys)

    def _write(self, store: Store, events: Sequence[Event], arrived: frozenset[int]) -> None:
        before = {row.key: row for row in derived(event for event in events if event.key not in arrived)}
        now = {row.key: row for row in derived(events)}
        rows = [row for key, row in now.items() if before.get(key) != row]
        if rows:
            self._insert(store, rows, [key for key in before if key not in now])

    def _insert(self, store: Store, rows: Sequence[Row], gone: Sequence[SpanKey]) -> None:
        rivals = _again(self.billing.logged.rivals(store, rows))
        made = [batch_of(rows), *(withdrawn(_again(stored)) for stored in self._stored(store, gone))]
        enriched = self.billing.enrich_logged(store, pa.concat_batches(made), rivals)
        purpose = f"sessions/{_digest(rows)}"
        with self.writing(store, enriched.traces, True) as feed:
            for _, part, _ in enriched.by_day():
                for batch in part.to_batches():
                    insert_or_set_aside(store, batch, purpose, feed.insert, self.set_aside)
            revised = self.billing.write_revisions(store, enriched, feed.insert)
        self.metrics.revised_spans.inc(revised)

    def _stored(self, store: Store, keys: Sequence[SpanKey]) -> Iterator[pa.Table]:
        for part in slices(keys, MAX_KEYS_IN_QUERY):
            yield store.query(named_query("span_rows"), query_parameters(part))


def _digest(rows: Sequence[Row]) -> str:
    """What tells an insert of these rows from one of others with the same versions: records may be late."""
    said = repr([(row.key, row.parent_id, row.name, row.start, row.end, row.error, row.attributes) for row in rows])
    return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _again(rows: pa.Table | None) -> pa.RecordBatch:
    """Stored rows as a later version of themselves."""
    return decoded_again(rows, VERDICT_STEP) if rows else pa.RecordBatch.from_pylist([], DECODED_SCHEMA)


def _arrived(batches: Sequence[pa.RecordBatch], names: Sequence[str]) -> pa.Table:
    """Of the records with a name of an event that tells of a session, those which name one; times in nanoseconds."""
    wanted = pa.array(names, TEXT)
    return pa.Table.from_batches([_named(batch, wanted) for batch in batches])


def _named(batch: pa.RecordBatch, wanted: pa.Array) -> pa.RecordBatch:
    chosen = pc.and_(pc.is_in(batch.column("Event"), wanted), pc.not_equal(batch.column("SessionId"), ""))
    times = batch.column("Timestamp").cast(pa.int64())
    columns = {name: batch.column(name) for name in ("Project", "SessionId", "PromptId", "RowKey")}
    return pa.RecordBatch.from_pydict({"Timestamp": times, **columns}).filter(chosen)
