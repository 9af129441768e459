"""The durable queue of one directory: append-only segments with group commit.

A request is acknowledged once its frame is on disk as `spool.fsync` asks. A segment is sealed by size, by items, or
when the drain asks for what is waiting; a sealed segment is one insert per signal and day, and is deleted once those
are confirmed. Segment ids are unique for ever: the inserts' deduplication tokens are made of them.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from collector.config import SpoolConfig
from collector.files import LOCK, lock_directory
from collector.model.clock import Clock
from collector.model.envelope import Envelope
from collector.spool.ack import SpoolAck
from collector.spool.capacity import Capacity
from collector.spool.catalogue import Catalogue
from collector.spool.pending import Pending, PendingQueue
from collector.spool.sealed import Segment, created_at
from collector.spool.segment import record
from collector.spool.writer import Writer


@dataclass(frozen=True, slots=True)
class SpoolStatistics:
    """`bytes` and `segments` include the active segment; `oldest_age` is in seconds, 0 when empty."""

    bytes: int
    segments: int
    oldest_age: float
    capacity: int
    fsyncs: int
    fsync_seconds: float
    write_errors: int


class Spool:
    """The spool of one directory. `append` and `close` belong to the event loop; the rest may run in any thread."""

    def __init__(
        self, directory: Path, config: SpoolConfig, clock: Clock, elsewhere: Callable[[], int] = lambda: 0
    ) -> None:
        """`elsewhere` is how many bytes other spools hold of those that `config` allows to all together."""
        self.directory = directory
        self._config = config
        self._clock = clock
        self._listener: Callable[[], None] = lambda: None
        self._lock_fd = lock_directory(directory)
        self._lock = threading.RLock()
        self._io = threading.Lock()
        self._capacity = Capacity(directory, config, clock, elsewhere)
        self._pending = PendingQueue(self._lock)
        self._catalogue = Catalogue(directory, self._lock)
        self._writer = Writer(
            directory,
            config,
            clock,
            self._pending,
            self._catalogue,
            self._lock,
            self._io,
            on_commit=self._notify,
            on_failure=self._capacity.expire,
        )
        self.reclaim()
        self._thread = threading.Thread(target=self._writer.run, name="spool", daemon=True)
        self._thread.start()

    def append(self, envelope: Envelope, expanded: int = 0) -> SpoolAck:
        """Queue an envelope; the acknowledgement completes when it is durable, or could not be made so.

        `expanded` is its size as rows, which bounds how much one insert may hold.
        Raises Unavailable at once when the spool is full, the disk is low, or the daemon is stopping.
        """
        framed, ack = record(envelope), SpoolAck()
        pending = Pending(framed, envelope.items, expanded, ack, asyncio.get_running_loop())
        with self._lock:
            self._pending.check_open()
            self._capacity.admit(framed.size, self._held())
            self._pending.put(pending)
        return ack

    def _held(self) -> int:
        active = self._writer.active
        return self._catalogue.bytes + (active.size if active else 0) + self._pending.bytes

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener`, in some thread, after every commit and whenever segments are taken up."""
        self._listener = listener

    def _notify(self) -> None:
        self._listener()

    def oldest(self, besides: Collection[str] = ()) -> Segment | None:
        """The segment to drain next, if one is sealed that is not among those with the ids `besides`."""
        return self._catalogue.oldest(besides)

    def waiting_since(self) -> float | None:
        """Monotonic time at which the active segment got its first frame; None when there is none."""
        active = self._writer.active
        return active.opened if active else None

    def seal(self) -> None:
        """Seal the active segment, so that `oldest` comes to it."""
        self._writer.seal()

    def commit(self, segment: Segment) -> None:
        """Forget a segment whose rows are stored. Until this returns it is drained again after a crash."""
        self._catalogue.commit(segment)

    def hand_over(self, segment: Segment, directory: Path) -> Path:
        """Move a sealed segment to another spool's directory; where it is now. Raises OSError, and still has it."""
        return self._catalogue.hand_over(segment, directory)

    def reclaim(self) -> None:
        """Take up segments that lie in the directory: those of an earlier run, and those `replay` has put there."""
        with self._io:
            active = self._writer.active
            found = self._catalogue.reclaim(active.id if active else None)
        if found:
            self._notify()

    def recent(self, since: int) -> Iterator[Envelope]:
        """Envelopes received since `since` (Unix ns) that are still spooled, oldest first; of a large spool its end."""
        return self._catalogue.recent(since)

    def check(self) -> None:
        """Raise what ended the writing thread, if anything did."""
        if self._writer.defect:
            raise self._writer.defect

    def missing(self) -> str:
        """Why its directory is not there any more, or another one is; empty while it is there."""
        try:
            found = (self.directory / LOCK).stat()
        except OSError as error:
            return f"The spool's directory {self.directory} cannot be used: {error.strerror}."
        if os.path.samestat(found, os.fstat(self._lock_fd)):
            return ""
        return f"The spool's directory {self.directory} was replaced while spanmeter uses it."

    def statistics(self) -> SpoolStatistics:
        with self._lock:
            writer, active = self._writer, self._writer.active
            oldest = self._catalogue.oldest() or active
            created = created_at(oldest.id) if oldest else 0
            age = (self._clock.time_ns() - created) / 1e9 if created else 0.0
            return SpoolStatistics(
                bytes=self._held(),
                segments=len(self._catalogue) + (1 if active else 0),
                oldest_age=max(age, 0.0),
                capacity=self._config.max_bytes,
                fsyncs=writer.fsyncs,
                fsync_seconds=writer.fsync_seconds,
                write_errors=writer.write_errors,
            )

    def close(self) -> None:
        """Refuse new envelopes, commit the queued ones, seal, and release the directory."""
        self._pending.close()
        self._thread.join()
        self.seal()
        os.close(self._lock_fd)
