"""The writing thread: many requests share one write and one fsync, and segments are sealed when they are full."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from collector.config import SpoolConfig
from collector.errors import Reason, Unavailable
from collector.model.clock import Clock
from collector.spool.active import ActiveSegment
from collector.spool.catalogue import Catalogue
from collector.spool.pending import Pending, PendingQueue, answer
from collector.spool.sealed import Segment, new_segment_id

log = structlog.get_logger("spanmeter.spool")

# A segment's rows may be this many times its bytes: resource attributes are repeated for each row.
_MAX_EXPANSION = 4


class Writer:
    """Takes records from `pending`, makes them durable as `spool.fsync` asks, and adds full segments to `catalogue`.

    `lock` guards what the parts of the spool count as held. `io` is held while the active segment changes: by the
    writing thread during a commit, by others during `seal`.
    """

    def __init__(
        self,
        directory: Path,
        config: SpoolConfig,
        clock: Clock,
        pending: PendingQueue,
        catalogue: Catalogue,
        lock: threading.RLock,
        io: threading.Lock,
        *,
        on_commit: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> None:
        """`on_commit` is called after every commit and when the thread has died, `on_failure` when a write failed."""
        self._directory = directory
        self._config = config
        self._clock = clock
        self._pending = pending
        self._catalogue = catalogue
        self._lock = lock
        self._io = io
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._last_id = 0
        self._synced_at = clock.monotonic()
        self.active: ActiveSegment | None = None
        self.fsyncs = 0
        self.fsync_seconds = 0.0
        self.write_errors = 0
        self.defect: BaseException | None = None

    def run(self) -> None:
        """Write until the queue is closed and empty."""
        batch: list[Pending] | None = []
        timeout = self._config.fsync_interval if self._config.fsync == "interval" else None
        try:
            while (batch := self._pending.take(timeout)) is not None:
                with self._io:
                    self._commit(batch)
        except BaseException as error:  # a defect: stop taking data rather than leave requests waiting
            log.exception("The spool's writing thread died.")
            self.defect = error
            if waiting := (batch or []) + self._pending.abandon():
                answer(waiting, Unavailable(Reason.DISK, "The server's spool has failed; send again later."))
            self._on_commit()

    def seal(self) -> None:
        """Seal the active segment, if there is one."""
        with self._io:
            self._seal()

    def _commit(self, batch: list[Pending]) -> None:
        """Write a batch, in as many chunks as segments get full by it; an empty one: only sync what is due."""
        if not batch:
            self._sync_or_fail()
            return
        begin, size, items, expanded = 0, 0, 0, 0
        for end, pending in enumerate(batch, 1):
            size += pending.record.size
            items += pending.items
            expanded += pending.expanded
            if end == len(batch) or self._fills(size, items, expanded):
                self._write(batch[begin:end], size, items, expanded)
                begin, size, items, expanded = end, 0, 0, 0

    def _fills(self, size: int, items: int, expanded: int) -> bool:
        """Whether the active segment is full with that much more in it."""
        active, config = self.active, self._config
        if active:
            size, items, expanded = size + active.size, items + active.items, expanded + active.expanded
        return (
            size >= config.segment_bytes
            or items >= config.segment_max_spans
            or expanded >= _MAX_EXPANSION * config.segment_bytes
        )

    def _write(self, chunk: list[Pending], size: int, items: int, expanded: int) -> None:
        """Make a chunk durable in the active segment, and acknowledge or refuse it."""
        failure: Unavailable | None = None
        try:
            active = self.active or self._open()
            active.write(chunk)
            if self._sync_is_due():
                self._sync(active)
        except OSError as error:
            failure = self._failed(error)
        with self._lock:
            self._pending.release(size)
            if not failure and self.active:
                self.active.grow(size, items, expanded)
        if not failure and self._fills(0, 0, 0):
            self._seal()
        answer(chunk, failure)
        self._on_commit()

    def _open(self) -> ActiveSegment:
        self._last_id = max(self._clock.time_ns(), self._last_id + 1)
        self.active = ActiveSegment(self._directory, new_segment_id(self._last_id), self._clock.monotonic())
        return self.active

    def _sync_is_due(self) -> bool:
        if self._config.fsync == "interval":
            return self._clock.monotonic() - self._synced_at >= self._config.fsync_interval
        return self._config.fsync == "always"

    def _sync(self, active: ActiveSegment) -> None:
        started = self._clock.monotonic()
        active.sync()
        self.fsyncs += 1
        self._synced_at = self._clock.monotonic()
        self.fsync_seconds += self._synced_at - started

    def _sync_or_fail(self) -> None:
        if self.active and not self.active.synced:
            try:
                self._sync(self.active)
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> Unavailable:
        """Give up the active segment after a failed write or sync: what a later sync would report of it is unknown.

        What it held before stays; what failed is cut off, so that refused frames are not stored beside their retries.
        """
        self.write_errors += 1
        self._on_failure()
        log.error("The spool cannot be written; requests are refused until it can.", error=str(error))
        if self.active:
            self.active.cut_off()
            self._close_active(self.active)
        return Unavailable(Reason.DISK, f"The server cannot write to its disk: {error.strerror}.", 5.0)

    def _seal(self) -> None:
        """Make the active segment a sealed one, synced unless `spool.fsync` is off."""
        active = self.active
        if active and self._config.fsync == "interval":
            self._sync_or_fail()
        if active and self.active is active:  # a sync that fails has closed it
            self._close_active(active)

    def _close_active(self, active: ActiveSegment) -> None:
        active.close()
        with self._lock:
            self.active = None
            if not active.empty:
                self._catalogue.add(Segment(active.id, active.path, active.size))
                return
        active.delete()
