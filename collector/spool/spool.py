"""Append-only segments on disk with group commit: many requests share one fsync.

One thread writes. A request's delivery is settled once its frame is on disk as `spool.fsync` asks. A segment is sealed
by size, by spans, or when the drain asks for what is waiting; a sealed segment is one insert, and is deleted once that
insert is confirmed. Segment ids are unique for ever: they are the inserts' deduplication tokens.
"""

import asyncio
import contextlib
import os
import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from collector.config import SpoolConfig
from collector.errors import Reason, Unavailable
from collector.files import lock_directory, sync_directory, write_all, write_durably
from collector.model.clock import Clock
from collector.model.envelope import Envelope
from collector.spool.ack import SpoolAck
from collector.spool.segment import (
    FRAME_SIZE,
    HEADER,
    Damage,
    checksum_seed,
    encode_frame,
    frame_parts,
    read_frames,
    record_head,
)

log = structlog.get_logger("spanmeter.spool")

_SUFFIX = ".seg"
_SPLIT = ".halved"
# A segment's rows may be this many times its bytes: resource attributes are repeated for each span.
_MAX_EXPANSION = 4
_DISK_CHECK_SECONDS = 0.5
_RECENT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment of `size` bytes on disk."""

    id: str
    path: Path
    size: int

    def read(self) -> Iterator[Envelope | Damage]:
        """Its envelopes and damaged ranges, in order."""
        with self.path.open("rb") as file:  # beyond `size` may lie what was refused and could not be cut off
            yield from read_frames(file, self.size, self.id)

    @property
    def _halved(self) -> Path:
        return self.path.with_suffix(_SPLIT)

    def split_inserts(self) -> set[str]:
        """The tokens of its inserts that are made in halves. A damaged one is no token that is ever asked for."""
        try:
            return set(self._halved.read_text(errors="replace").split())
        except OSError:
            return set()

    def note_split(self, token: str) -> None:
        """Remember, also when this process has ended, that an insert is made in halves. Raises OSError."""
        with self._halved.open("a") as file:
            file.write(f"{token}\n")

    def forget(self) -> None:
        """Remove it. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._halved.unlink(missing_ok=True)


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


@dataclass(slots=True)
class _Active:
    """The segment being written. `durable` is its size at the last successful sync, `seed` begins its checksums."""

    id: str
    path: Path
    fd: int
    size: int
    durable: int
    spans: int
    expanded: int
    opened: float
    seed: int
    synced: bool = True


@dataclass(slots=True)
class _Pending:
    """A record that waits to be written, in two parts; `size` is that of its frame."""

    head: bytes
    payload: bytes
    size: int
    spans: int
    expanded: int
    ack: SpoolAck
    loop: asyncio.AbstractEventLoop


class Spool:
    """The spool of one directory. `append` and `close` belong to the event loop; the rest may run in any thread."""

    def __init__(
        self, directory: Path, config: SpoolConfig, clock: Clock, elsewhere: Callable[[], int] = lambda: 0
    ) -> None:
        """`elsewhere` is how many bytes other spools hold of those that `config` allows to all together."""
        self.directory = directory
        self._config = config
        self._clock = clock
        self._elsewhere = elsewhere
        self._lock_fd = lock_directory(directory)
        self._lock = threading.Lock()
        self._bell = queue.SimpleQueue[None]()
        self._sleeping = False
        self._pending: list[_Pending] = []
        self._pending_bytes = 0
        self._stopping = False
        self._io = threading.Lock()
        self._active: _Active | None = None
        self._sealed: deque[Segment] = deque()
        self._sealed_bytes = 0
        self._last_id = 0
        self._free = 0
        self._free_checked = float("-inf")
        self._fsyncs = 0
        self._fsync_seconds = 0.0
        self._synced_at = clock.monotonic()
        self._write_errors = 0
        self._crash: BaseException | None = None
        self._listener: Callable[[], None] = lambda: None
        self._tidy()
        self.reclaim()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    # -- the write path -------------------------------------------------------------------------------------------

    def append(self, envelope: Envelope, expanded: int = 0) -> SpoolAck:
        """Queue an envelope; the delivery is settled when it is durable, or when it could not be made so.

        `expanded` is its size as rows, which bounds how much one insert may hold.
        Raises Unavailable at once when the spool is full, the disk is low, or the daemon is stopping.
        """
        loop = asyncio.get_running_loop()
        head = record_head(envelope)
        size = FRAME_SIZE + len(head) + len(envelope.payload)
        pending = _Pending(head, envelope.payload, size, envelope.spans, expanded, SpoolAck(), loop)
        with self._lock:
            self._admit(size)
            self._pending.append(pending)
            self._pending_bytes += size
            wake, self._sleeping = self._sleeping, False
        if wake:
            # Once the loop has done what is due: all that arrived together is then one commit.
            loop.call_soon(self._bell.put, None)
        return pending.ack

    def _admit(self, size: int) -> None:
        if self._stopping:
            raise Unavailable(Reason.STOPPING, "The server is stopping; send again in a moment.")
        held = self._bytes() + self._elsewhere()
        if held + size > self._config.max_bytes:
            raise Unavailable(
                Reason.SPOOL_FULL, f"The spool is full ({held} bytes wait for the store); send again later.", 10.0
            )
        if self._disk_free() - size < self._config.min_free_bytes:
            raise Unavailable(Reason.DISK, "The server's disk is nearly full; send again later.", 10.0)

    def _bytes(self) -> int:
        active = self._active
        return self._sealed_bytes + (active.size if active else 0) + self._pending_bytes

    def _disk_free(self) -> int:
        now = self._clock.monotonic()
        if now - self._free_checked >= _DISK_CHECK_SECONDS:
            try:
                disk = os.statvfs(self.directory)
            except OSError as error:
                raise Unavailable(Reason.DISK, f"The server's disk does not answer: {error.strerror}.", 5.0) from error
            self._free = disk.f_bavail * disk.f_frsize
            self._free_checked = now
        return self._free

    def _run(self) -> None:
        batch: list[_Pending] | None = []
        try:
            while (batch := self._next_batch()) is not None:
                with self._io:
                    self._commit(batch)
        except BaseException as error:  # a defect: stop taking data rather than leave requests waiting
            log.exception("The spool's writing thread died.")
            with self._lock:
                self._stopping, self._crash = True, error
                waiting, self._pending = (batch or []) + self._pending, []
            if waiting:
                _answer(waiting, Unavailable(Reason.DISK, "The server's spool has failed; send again later."))
            self._listener()

    def _next_batch(self) -> list[_Pending] | None:
        """What has queued up since the last commit; empty when only an interval fsync is due; None to stop."""
        patience = self._config.fsync_interval if self._config.fsync == "interval" else None
        with self._lock:
            self._sleeping = idle = not self._pending and not self._stopping
        if idle:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=patience)
        with self._lock:
            self._sleeping = False
            batch, self._pending = self._pending, []
            return None if self._stopping and not batch else batch

    def _commit(self, batch: list[_Pending]) -> None:
        if not batch:
            self._sync_interval()
            return
        begin, size, spans, expanded = 0, 0, 0, 0
        for position, pending in enumerate(batch, 1):
            size += pending.size
            spans += pending.spans
            expanded += pending.expanded
            if position == len(batch) or self._fills(size, spans, expanded):
                self._write(batch[begin:position], size, spans, expanded)
                begin, size, spans, expanded = position, 0, 0, 0

    def _fills(self, size: int, spans: int, expanded: int) -> bool:
        active = self._active
        if active:
            size, spans, expanded = size + active.size, spans + active.spans, expanded + active.expanded
        config = self._config
        return (
            size >= config.segment_bytes
            or spans >= config.segment_max_spans
            or expanded >= _MAX_EXPANSION * config.segment_bytes
        )

    def _write(self, chunk: list[_Pending], size: int, spans: int, expanded: int) -> None:
        """Make a chunk durable in the active segment and answer it, one way or the other."""
        failure: Unavailable | None = None
        try:
            active = self._active or self._open()
            write_all(active.fd, _frames(chunk, active.seed))
            active.synced = False
            if self._config.fsync == "always" or self._interval_over():
                self._sync(active)
        except OSError as error:
            failure = self._failed(error)
        with self._lock:
            self._pending_bytes -= size
            if not failure and self._active:
                self._active.size += size
                self._active.spans += spans
                self._active.expanded += expanded
                self._active.durable = self._active.size
        if not failure and self._fills(0, 0, 0):
            self._seal_active()
        _answer(chunk, failure)
        self._listener()

    def _open(self) -> _Active:
        segment_id = self._new_id()
        path = self.directory / f"{segment_id}{_SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, [HEADER])
            sync_directory(self.directory)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        size = len(HEADER)
        seed = checksum_seed(segment_id)
        self._active = _Active(segment_id, path, fd, size, size, 0, 0, self._clock.monotonic(), seed)
        return self._active

    def _new_id(self) -> str:
        self._last_id = max(self._clock.time_ns(), self._last_id + 1)
        return _segment_id(self._last_id)

    def _sync(self, active: _Active) -> None:
        started = self._clock.monotonic()
        os.fdatasync(active.fd)
        self._fsyncs += 1
        self._synced_at = self._clock.monotonic()
        self._fsync_seconds += self._synced_at - started
        active.synced = True

    def _interval_over(self) -> bool:
        interval = self._config.fsync == "interval"
        return interval and self._clock.monotonic() - self._synced_at >= self._config.fsync_interval

    def _sync_interval(self) -> None:
        active = self._active
        if active and not active.synced:
            try:
                self._sync(active)
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> Unavailable:
        """Give up the active segment after a failed write or sync: what a later sync would say of it is unknown.

        What it held before stays; what failed is cut off, so that refused frames are not stored beside their retries.
        """
        self._write_errors += 1
        self._free_checked = float("-inf")
        log.error("The spool cannot be written; requests are refused until it can.", error=str(error))
        active = self._active
        if active:
            with contextlib.suppress(OSError):
                os.ftruncate(active.fd, active.durable)
                os.fsync(active.fd)
            self._seal_active(sync=False)
        return Unavailable(Reason.DISK, f"The server cannot write to its disk: {error.strerror}.", 5.0)

    def _seal_active(self, *, sync: bool = True) -> None:
        active = self._active
        if not active:
            return
        if sync and not active.synced and self._config.fsync == "interval":
            self._sync_interval()
            if self._active is not active:  # the sync failed and has sealed it
                return
        with contextlib.suppress(OSError):  # what counts has been synced
            os.close(active.fd)
        with self._lock:
            self._active = None
            if active.spans or active.size > len(HEADER):
                self._sealed.append(Segment(active.id, active.path, active.size))
                self._sealed_bytes += active.size
                return
        with contextlib.suppress(OSError):  # an empty segment is removed at the next start as well
            active.path.unlink(missing_ok=True)

    # -- the read path --------------------------------------------------------------------------------------------

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener`, in some thread, after every commit and whenever segments are taken up."""
        self._listener = listener

    def oldest(self) -> Segment | None:
        """The segment to drain next, if one is sealed."""
        with self._lock:
            return self._sealed[0] if self._sealed else None

    def waiting_since(self) -> float | None:
        """Monotonic time at which the active segment got its first frame; None when there is none."""
        active = self._active
        return active.opened if active else None

    def seal(self) -> None:
        """Seal the active segment, so that `oldest` comes to it."""
        with self._io:
            self._seal_active()

    def commit(self, segment: Segment) -> None:
        """Forget a segment whose rows are stored. Until this returns it will be drained again after a crash."""
        with contextlib.suppress(OSError):  # an insert repeated under the same token adds nothing
            segment.forget()
        self._forget(segment)

    def hand_over(self, segment: Segment, directory: Path) -> Path:
        """Move a sealed segment to another spool's directory; where it is now. Raises OSError, and still has it."""
        moved = segment.path.rename(directory / segment.path.name)
        self._forget(segment)
        return moved

    def _forget(self, segment: Segment) -> None:
        with self._lock:
            self._sealed.remove(segment)
            self._sealed_bytes -= segment.size

    def _tidy(self) -> None:
        """Remove what a crash has left of segments that are stored."""
        for path in self.directory.glob(f"*{_SPLIT}"):
            if not path.with_suffix(_SUFFIX).exists():
                with contextlib.suppress(OSError):
                    path.unlink()

    def reclaim(self) -> None:
        """Take up segments that lie in the directory: those of an earlier run, and those `replay` has put there."""
        with self._io, self._lock:
            known = {segment.id for segment in self._sealed}
            if self._active:
                known.add(self._active.id)
            found = [path for path in self.directory.glob(f"*{_SUFFIX}") if path.stem not in known]
            for path in found:
                size = path.stat().st_size
                if size <= len(HEADER):
                    path.unlink(missing_ok=True)
                else:
                    self._sealed.append(Segment(path.stem, path, size))
                    self._sealed_bytes += size
            if found:
                self._sealed = deque(sorted(self._sealed, key=lambda segment: segment.id))
        if found:
            self._listener()

    def recent(self, since: int) -> Iterator[Envelope]:
        """Envelopes received since `since` (Unix ns) that are still spooled, oldest first; of a large spool its end."""
        return recent(self._sealed, since)

    def check(self) -> None:
        """Raise what ended the writing thread, if anything did."""
        if self._crash:
            raise self._crash

    def statistics(self) -> SpoolStatistics:
        with self._lock:
            active = self._active
            sealed = len(self._sealed)
            first = self._sealed[0].id if sealed else active.id if active else None
            age = (self._clock.time_ns() - int(first[:16], 16)) / 1e9 if first else 0.0
            return SpoolStatistics(
                bytes=self._bytes(),
                segments=sealed + (1 if active else 0),
                oldest_age=max(age, 0.0),
                capacity=self._config.max_bytes,
                fsyncs=self._fsyncs,
                fsync_seconds=self._fsync_seconds,
                write_errors=self._write_errors,
            )

    def close(self) -> None:
        """Refuse new envelopes, commit the queued ones, seal, and release the directory."""
        with self._lock:
            self._stopping = True
        self._bell.put(None)
        self._thread.join()
        self.seal()
        os.close(self._lock_fd)


def recent(segments: Sequence[Segment], since: int) -> Iterator[Envelope]:
    """Envelopes of `segments` (oldest first) received since `since` (Unix ns), oldest first; of many bytes the end."""
    budget, chosen = _RECENT_BYTES, list[Segment]()
    for segment in reversed(segments):
        budget -= segment.size
        if budget < 0:
            break
        chosen.append(segment)
    for segment in reversed(chosen):
        with contextlib.suppress(OSError):  # the drain will say what is wrong with it
            yield from (e for e in segment.read() if isinstance(e, Envelope) and e.received_at >= since)


def segments_in(directory: Path) -> list[Segment]:
    """The segments that lie in a directory now, oldest first."""
    found = []
    for path in sorted(directory.glob(f"*{_SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # stored meanwhile
            found.append(Segment(path.stem, path, path.stat().st_size))
    return found


def put_segment(directory: Path, envelopes: list[Envelope], clock: Clock) -> Path:
    """Add a sealed segment to a spool directory from outside, durably; a running daemon adopts it."""
    segment_id = _segment_id(clock.time_ns())
    path = directory / f"{segment_id}{_SUFFIX}"
    frames = (encode_frame(envelope, segment_id) for envelope in envelopes)
    write_durably(path, HEADER + b"".join(frames))
    return path


def _segment_id(now: int) -> str:
    """Creation time and 32 random bits: sorts by age, and no spool ever makes the same id again."""
    return f"{now:016x}{secrets.token_hex(4)}"


def _frames(chunk: list[_Pending], seed: int) -> list[bytes]:
    return [part for pending in chunk for part in frame_parts(pending.head, pending.payload, seed)]


def _answer(chunk: list[_Pending], failure: Unavailable | None) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone: so are those who asked
        chunk[0].loop.call_soon_threadsafe(_complete, chunk, failure)


def _complete(chunk: list[_Pending], failure: Unavailable | None) -> None:
    for pending in chunk:
        try:
            pending.ack.complete(failure)
        except Exception:  # the others of the chunk have their answer to come
            log.exception("A delivery could not be answered.")
