"""Durable segments become rows: read -> decode -> enrich -> insert -> revise -> count against budgets, then commit.

A segment is one insert per signal and partition day, under a token made of its id: repeating any part of this after a
crash adds nothing. What can never be stored, and what has ended the process again and again, is set aside with its
bytes; everything else is tried again for ever.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from collector.errors import Unavailable, let_go
from collector.model.clock import Clock
from collector.model.envelope import Signal
from collector.part import Part
from collector.spool import DeadLetter, Segment, Spool, segments_in
from collector.store.client import Store
from collector.storing import Delivery, Later, Postponed, SignalPath, Unreadable
from collector.telemetry import Metrics, Sample, catalogue
from collector.waiting import notify, wait_for

log = structlog.get_logger("spanmeter.drain")

_FIRST_PAUSE = 0.25
_RECLAIM_SECONDS = 5.0


# Spend that waits for longer than this, besides `spool.flush_interval`, is not known to those who ask.
_LAG_SECONDS = 10.0


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
        left = (segment.id for segment in segments_in(spool.directory))  # by an earlier process
        self.delivery = Delivery(deadletter, store, paths, clock, metrics, left)
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._flush_interval = flush_interval
        self._retry_max_interval = retry_max_interval
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._failing = 0
        self._failing_since = 0.0
        self._failure = ""
        self._work: Future[None] | None = None
        self._later = Later(clock)
        self._reclaimed = clock.monotonic()
        # One thread: the store's writer belongs to it, and the two cores are shared with the receivers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="drain")
        # Whoever holds it finds each segment either stored and gone, or not begun by this process.
        self.between_segments = threading.Lock()

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

    @property
    def busy(self) -> bool:
        return self._work is not None and not self._work.done()

    def abandon(self) -> None:
        self.delivery.abandon()

    def unready_reason(self) -> str:
        if self._failing and self._clock.monotonic() - self._failing_since > _LAG_SECONDS:
            return f"Spans are spooled, but none could be stored at the last {self._failing} attempts: {self._failure}"
        return ""

    def statistics(self) -> DrainStatistics:
        return DrainStatistics(self._spool.statistics().oldest_age, self._failing)

    def readings(self) -> Iterable[Sample]:
        now = self.statistics()
        yield Sample(catalogue.DRAIN_LAG_SECONDS, now.lag)
        yield Sample(catalogue.DRAIN_FAILING_ATTEMPTS, now.attempts_failing)
        yield Sample(catalogue.DRAIN_UNREADABLE_SEGMENTS, self._later.unreadable)

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

    async def _in_thread(self, work: Callable[..., None], *arguments: Segment | bool) -> None:
        begun = self._work = self._thread.submit(work, *arguments)
        try:
            await asyncio.wrap_future(begun)
        finally:
            if begun.done():  # else cancelled; a failure would keep the rows that it has met
                self._work = None

    async def _next(self) -> Segment | None:
        """The next sealed segment; waits for one, sealing what has waited long enough. None when stopped and empty."""
        while True:
            self._spool.check()
            if self._clock.monotonic() - self._reclaimed >= _RECLAIM_SECONDS:
                await self._reclaim()
            if segment := self._spool.oldest(self._later.not_due(stopping=self._stopping.is_set())):
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
        """Store a segment, however long it takes, unless it cannot be read."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._in_thread(self._store_segment, segment, self._stopping.is_set())
            except Unreadable as error:
                self._pass_over(segment, error)
                return
            except Postponed as error:
                self._failing = 0
                self._later.postpone(segment.id, error.retry_after)
                log.warning("A part of a segment is stored later.", segment=segment.id, why=str(error))
                return
            except Exception as error:  # a defect must cost neither the daemon nor the segment: it is tried again
                self._failing_since = self._failing_since if self._failing else self._clock.monotonic()
                self._failing += 1
                self._failure = str(error) or type(error).__name__
                self._metrics.failed_inserts.inc()
                if isinstance(error, Unavailable):
                    log.warning("A segment cannot be stored now.", segment=segment.id, why=str(error), retry_in=pause)
                else:
                    log.exception("A segment could not be drained.", segment=segment.id, retry_in=pause)
                let_go(error)  # the next attempt needs the memory for the same rows
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._retry_max_interval)
            else:
                self._failing = 0
                self._later.forget(segment.id)
                return

    def _store_segment(self, segment: Segment, last: bool) -> None:
        with self.between_segments:
            self.delivery.deliver(segment, last)
            self.delivery.done(segment)
            self._spool.commit(segment)

    def _pass_over(self, segment: Segment, error: Unreadable) -> None:
        """Go on with the next segment, and look at this one again later."""
        self._failing = 0
        self._metrics.failed_inserts.inc()
        self._later.cannot_be_read(segment.id, self._retry_max_interval)
        log.error(
            "A segment cannot be read. Others are stored meanwhile. Look at the disk, or move the file away.",
            segment=segment.id,
            why=str(error),
            retry_in=self._retry_max_interval,
        )
