"""Durable segments become rows: read -> decode -> enrich -> insert -> revise -> count against budgets, then commit.

A segment is one insert per signal and partition day, under a token made of its id: repeating any part of this after a
crash adds nothing. What can never be stored is set aside with its bytes; everything else is tried again for ever.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import pyarrow as pa
import structlog

from collector.billing.across_batches import Billing
from collector.billing.spans import SpanEnricher
from collector.decode import decode, one_span
from collector.errors import Reason, Rejected, Unavailable
from collector.model.clock import Clock
from collector.model.envelope import Envelope, Signal
from collector.part import Part
from collector.spending.feed import Writing, uncounted
from collector.spool import Damage, DeadLetter, Segment, Spool, segments_in
from collector.store.client import Store
from collector.store.errors import OutOfMemory
from collector.store.tables import SPANS, Table
from collector.store.writer import Insert, TableRows, by_day, clamp
from collector.telemetry import Metrics, Sample, catalogue
from collector.waiting import notify, wait_for

log = structlog.get_logger("spanmeter.drain")

_FIRST_PAUSE = 0.25
_RECLAIM_SECONDS = 5.0

# Spend that waits for longer than this, besides `spool.flush_interval`, is not known to those who ask.
_LAG_SECONDS = 10.0

# Rows are decoded and enriched in parts of about this many bytes: small enough for the processor's caches, and for
# memory to be used again rather than asked for anew. With a server, a segment of the default size is one part.
_PART_BYTES = 16 * 1024 * 1024

# More poison in one segment than this (or a tenth of its rows) stops the drain rather than fill the dead letter.
_POISON_ROWS = 100

# Envelopes of a segment with their numbers in it, all of one signal.
_Part = list[tuple[int, Envelope]]


class ReadyRows(TableRows, Protocol):
    """Enriched rows."""

    def inserting(self, *, again: bool) -> AbstractContextManager[Insert]:
        """The context to insert all the rows in; `again` when the store may have some of them already."""


@dataclass(frozen=True, slots=True)
class SignalPath:
    """How envelopes of one signal become rows of its table.

    `decode` raises Rejected when an envelope does not decode or the rows are too many for a batch; `one_item` is the
    envelope that holds only one row of those decoded from an envelope; `enrich` raises Unavailable.
    """

    table: Table
    decode: Callable[[Sequence[Envelope]], pa.RecordBatch]
    one_item: Callable[[Envelope, int], Envelope]
    enrich: Callable[[Store, Sequence[pa.RecordBatch]], ReadyRows]


def span_path(billing: Billing, metrics: Metrics, writing: Writing = uncounted) -> SignalPath:
    """The path of traces."""
    return SignalPath(SPANS, decode, one_span, SpanEnricher(billing, writing, metrics).enrich)


@dataclass(frozen=True, slots=True)
class DrainStatistics:
    """`lag` is the age in seconds of the oldest span not yet stored."""

    lag: float
    attempts_failing: int


class Drain(Part):
    """Empties the spool into the store, one segment at a time, in order."""

    name = "drain"
    settings = ("spool.flush_interval", "store.retry_max_interval")

    def __init__(
        self,
        spool: Spool,
        deadletter: DeadLetter,
        store: Callable[[], Store],
        paths: Mapping[Signal, SignalPath],
        clock: Clock,
        metrics: Metrics,
        *,
        flush_interval: float,
        retry_max_interval: float,
    ) -> None:
        """Envelopes of a signal that has no path are set aside."""
        self._spool = spool
        self._deadletter = deadletter
        self._store = store
        self._paths = paths
        self._clock = clock
        self._metrics = metrics
        self._flush_interval = flush_interval
        self._retry_max_interval = retry_max_interval
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._failing = 0
        self._split_inserts: set[str] = set()
        # Segments of which the store may have rows: those an earlier process has left, and those tried before.
        self._begun = {segment.id for segment in segments_in(spool.directory)}
        self._reclaimed = clock.monotonic()
        # One thread: the store's writer belongs to it, and the two cores are shared with the receivers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drain")

    async def run(self) -> None:
        """Drain until `finish`, then what is left, as fast as the store takes it."""
        self._ended.clear()
        loop = asyncio.get_running_loop()
        self._spool.on_change(lambda: notify(loop, self._changed))
        try:
            while segment := await self._next():
                await self._deliver(segment)
        finally:
            self._ended.set()

    async def stop(self, grace: float) -> None:
        """Empty the spool within `grace` seconds, unless there is no store to empty it into."""
        self.finish()
        try:
            self._store()
        except Unavailable:
            return
        if not await wait_for(self._ended, grace):
            left = self._spool.statistics().bytes
            log.warning("The spool was not empty at the deadline; the next start continues.", spooled_bytes=left)

    def finish(self) -> None:
        """Seal what is waiting; `run` returns once the spool is empty."""
        self._stopping.set()
        self._changed.set()

    def close(self) -> None:
        """Wait for the insert in progress, if `run` was cancelled during one."""
        self._thread.shutdown(wait=True)

    def statistics(self) -> DrainStatistics:
        return DrainStatistics(self._spool.statistics().oldest_age, self._failing)

    def readings(self) -> Iterable[Sample]:
        now = self.statistics()
        yield Sample(catalogue.DRAIN_LAG_SECONDS, now.lag)
        yield Sample(catalogue.DRAIN_FAILING_ATTEMPTS, now.attempts_failing)

    def lag_reason(self) -> str | None:
        """Why accepted spans may not all be stored and counted yet; None when they are, but for the last seconds."""
        try:
            self._store()
        except Unavailable as error:
            return str(error)
        now = self.statistics()
        if now.attempts_failing:
            return "The store does not take spans at the moment; what was spent lately is not counted yet."
        if now.lag > self._flush_interval + _LAG_SECONDS:
            return f"Spans have been waiting for {now.lag:.0f} s to be counted."
        return None

    async def _in_thread(self, work: Callable[..., None], *arguments: Segment) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _next(self) -> Segment | None:
        """The next sealed segment; waits for one, sealing what has waited long enough. None when stopped and empty."""
        while True:
            self._spool.check()
            if self._clock.monotonic() - self._reclaimed >= _RECLAIM_SECONDS:
                await self._reclaim()
            if segment := self._spool.oldest():
                return segment
            self._changed.clear()
            since = self._spool.waiting_since()
            wait = _RECLAIM_SECONDS if since is None else since + self._flush_interval - self._clock.monotonic()
            if since is not None and (wait <= 0 or self._stopping.is_set()):
                await self._in_thread(self._spool.seal)
            elif self._stopping.is_set():
                return None
            else:
                await wait_for(self._changed, wait)

    async def _reclaim(self) -> None:
        self._reclaimed = self._clock.monotonic()
        try:
            await self._in_thread(self._spool.reclaim)
        except OSError as error:  # for want of file descriptors, for one: what lies there can wait
            log.warning("The spool's directory cannot be read now.", why=str(error), retry_in=_RECLAIM_SECONDS)

    async def _deliver(self, segment: Segment) -> None:
        """Store a segment, however long it takes."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._in_thread(self.deliver_once, segment)
            except Exception as error:  # a defect must cost neither the daemon nor the segment: it is tried again
                self._failing += 1
                self._metrics.failed_inserts.inc()
                if isinstance(error, Unavailable):
                    log.warning("A segment cannot be stored now.", segment=segment.id, why=str(error), retry_in=pause)
                else:
                    log.exception("A segment could not be drained.", segment=segment.id, retry_in=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._retry_max_interval)
            else:
                self._failing = 0
                self._split_inserts.clear()
                self._begun.discard(segment.id)
                await self._in_thread(self._spool.commit, segment)
                return

    def deliver_once(self, segment: Segment) -> None:
        """Store every row of a segment and set the rest aside. Raises Unavailable when it has to be tried again."""
        store = self._store()  # before any work: raises while there is no store
        self._split_inserts |= segment.split_inserts()
        again = segment.id in self._begun
        for decoded in self._decoded(segment):
            rows = decoded.path.enrich(store, decoded.batches)
            self._begun.add(segment.id)
            with rows.inserting(again=again) as insert:
                self._insert_by_day(insert, rows, decoded)
            self._metrics.clamped.inc(decoded.clamped)

    def _insert_by_day(self, insert: Insert, rows: TableRows, decoded: "_Decoded") -> None:
        table = decoded.path.table
        times = [batch.column(table.time) for batch in decoded.batches]
        for day, part, positions in by_day(rows, times):
            self._insert(insert, part, positions, decoded, table.token(decoded.segment.id, day))

    def _decoded(self, segment: Segment) -> list["_Decoded"]:
        """A segment's rows by signal; envelopes that do not decode are set aside."""
        by_signal = {signal: _Decoded(segment, path) for signal, path in self._paths.items()}
        for signal, part in _parts(self._readable(segment)):
            self._decode_part(by_signal[signal], part)
        return [decoded for decoded in by_signal.values() if decoded.batches]

    def _decode_part(self, decoded: "_Decoded", part: _Part) -> None:
        """Add the rows of a run of envelopes: in one batch, or in halves where one fails or all are too large."""
        try:
            batch = decoded.path.decode([envelope for _, envelope in part])
        except Rejected as error:
            if len(part) == 1:
                ((number, envelope),) = part
                self._set_aside(f"{decoded.segment.id}-{number}", error, envelope)
                return
        else:
            decoded.add(part, batch)
            return
        half = len(part) // 2
        self._decode_part(decoded, part[:half])
        self._decode_part(decoded, part[half:])

    def _readable(self, segment: Segment) -> Iterator[tuple[int, Envelope]]:
        """The envelopes of a segment that have a path, numbered among all; others and damaged bytes are set aside."""
        number = 0
        try:
            for item in segment.read():
                if isinstance(item, Damage):
                    self._damaged(segment, item)
                    continue
                if item.signal in self._paths:
                    yield number, item
                else:
                    self._set_aside(f"{segment.id}-{number}", _no_path(item.signal), item)
                number += 1
        except OSError as error:
            raise Unavailable(Reason.DISK, f"The segment {segment.path} cannot be read: {error}.") from error

    def _damaged(self, segment: Segment, damage: Damage) -> None:
        if damage.torn:
            return
        why = f"{len(damage.data)} bytes at offset {damage.offset} of segment {segment.id} are damaged."
        self._deadletter.keep_bytes(f"{segment.id}-damage-{damage.offset}", why, damage.data)
        self._metrics.dead_lettered.labels(Reason.CORRUPT.value).inc()
        log.error("Spooled bytes are damaged and were set aside.", segment=segment.id, offset=damage.offset)

    def _insert(
        self, insert: Insert, rows: TableRows, positions: Sequence[int], decoded: "_Decoded", token: str
    ) -> None:
        """Insert rows; when the store refuses the data itself, halve them until the poison is alone.

        Rows that are too many for the store's memory are halved likewise.

        The halves depend on the rows only, so a repetition uses the same tokens. Rows once halved stay halved, also
        after a restart: should the store take them whole later, the halves it has already would be stored again.
        """
        if token not in self._split_inserts:
            started = self._clock.monotonic()
            try:
                insert(self._store(), rows, token)
            except Rejected as error:
                if rows.num_rows == 1:
                    name, envelope = decoded.poison(positions[0], error)
                    self._set_aside(name, error, envelope)
                    return
                self._split(decoded.segment, token)
            except OutOfMemory:
                if rows.num_rows == 1:
                    raise
                self._split(decoded.segment, token)
            else:
                self._metrics.inserts.inc()
                self._metrics.insert_seconds.observe(self._clock.monotonic() - started)
                return
        table, half = pa.Table.from_batches(rows.to_batches()), rows.num_rows // 2
        self._insert(insert, table.slice(0, half), positions[:half], decoded, f"{token}.0")
        self._insert(insert, table.slice(half), positions[half:], decoded, f"{token}.1")

    def _split(self, segment: Segment, token: str) -> None:
        self._split_inserts.add(token)
        with contextlib.suppress(OSError):  # a full disk must not keep the spool from getting smaller
            segment.note_split(token)

    def _set_aside(self, name: str, error: Rejected, envelope: Envelope) -> None:
        self._deadletter.keep(name, error.reason, str(error), envelope)
        self._metrics.dead_lettered.labels(error.reason.value).inc(max(envelope.items, 1))
        log.error("An envelope cannot be stored and was set aside.", entry=name, signal=envelope.signal, why=str(error))


def _no_path(signal: Signal) -> Rejected:
    return Rejected(
        Reason.SIGNAL, f"This version does not store {signal}. Run `spanmeter replay` with a version that does."
    )


def _parts(envelopes: Iterable[tuple[int, Envelope]]) -> Iterator[tuple[Signal, _Part]]:
    """Runs of envelopes of one signal, of `_PART_BYTES` and no more than it takes to get there."""
    parts: dict[Signal, _Part] = {}
    sizes: dict[Signal, int] = {}
    for entry in envelopes:
        envelope = entry[1]
        signal = envelope.signal
        parts.setdefault(signal, []).append(entry)
        sizes[signal] = size = sizes.get(signal, 0) + len(envelope.payload)
        if size >= _PART_BYTES:
            yield signal, parts.pop(signal)
            del sizes[signal]
    yield from parts.items()


class _Decoded:
    """The rows of one signal of a segment, where they came from, and how many of them may turn out to be poison."""

    def __init__(self, segment: Segment, path: SignalPath) -> None:
        self.segment = segment
        self.path = path
        self.batches: list[pa.RecordBatch] = []
        self.clamped = 0
        self._numbers: list[int] = []
        self._ends: list[int] = []
        self._poison = 0

    @property
    def rows(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, part: _Part, batch: pa.RecordBatch) -> None:
        """Append the rows of the next envelopes."""
        for number, envelope in part:
            self._numbers.append(number)
            self._ends.append(self.rows + envelope.items)
        if batch.num_rows:
            within, moved = clamp(self.path.table, batch)
            self.batches.append(within)
            self.clamped += moved

    def poison(self, position: int, error: Rejected) -> tuple[str, Envelope]:
        """A stable name for the row at `position`, and an envelope with it alone.

        Raises Unavailable when too many rows of one segment are refused: then the table is at fault, not the data.
        """
        if self._poison >= max(_POISON_ROWS, self.rows // 10):
            raise Unavailable(
                Reason.DEAD_LETTER_FULL,
                f"The store refuses too many rows of segment {self.segment.id}, the last one because: {error} "
                "Draining stops here until the cause is repaired; new requests are still spooled.",
            )
        self._poison += 1
        place = bisect_right(self._ends, position)
        number, row = self._numbers[place], position - (self._ends[place - 1] if place else 0)
        whole = (item for item in self.segment.read() if isinstance(item, Envelope))
        return f"{self.segment.id}-{number}-{row}", self.path.one_item(next(islice(whole, number, None)), row)
