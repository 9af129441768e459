"""Records on their way from the event loop to the writing thread, which takes all that wait as one commit."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from collector.errors import Reason, Unavailable
from collector.spool.ack import SpoolAck
from collector.spool.segment import Record

log = structlog.get_logger("spanmeter.spool")


@dataclass(slots=True)
class Pending:
    """A record that waits to be written."""

    record: Record
    items: int
    expanded: int
    ack: SpoolAck
    loop: asyncio.AbstractEventLoop


class PendingQueue:
    """`put` belongs to the event loop, `take` to the writing thread.

    `bytes` are those of records that wait or are being written.
    """

    def __init__(self, lock: threading.RLock) -> None:
        """`lock` guards all that counts as held by the spool, here and in its other parts."""
        self._lock = lock
        self._bell = queue.SimpleQueue[None]()
        self._sleeping = False
        self._closed = False
        self._records: list[Pending] = []
        self.bytes = 0

    def check_open(self) -> None:
        """Raise Unavailable when no more is taken."""
        if self._closed:
            raise Unavailable(Reason.STOPPING, "The server is stopping; send again in a moment.")

    def put(self, pending: Pending) -> None:
        """Add a record. The caller holds the lock and has found the queue open."""
        self._records.append(pending)
        self.bytes += pending.record.size
        if self._sleeping:
            self._sleeping = False
            # Once the loop has done what is due: all that arrived together is then one commit.
            pending.loop.call_soon(self._bell.put, None)

    def take(self, timeout: float | None) -> list[Pending] | None:
        """Wait for records, at most `timeout` seconds; all that wait then. None once closed and empty."""
        with self._lock:
            self._sleeping = idle = not self._records and not self._closed
        if idle:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=timeout)
        with self._lock:
            self._sleeping = False
            batch, self._records = self._records, []
            return None if self._closed and not batch else batch

    def release(self, size: int) -> None:
        """Count `size` bytes as waiting no longer. The caller holds the lock."""
        self.bytes -= size

    def close(self) -> None:
        """Refuse more records; what waits is still taken."""
        with self._lock:
            self._closed = True
        self._bell.put(None)

    def abandon(self) -> list[Pending]:
        """Refuse more records, as nobody will take them; those that wait."""
        with self._lock:
            self._closed = True
            waiting, self._records = self._records, []
        return waiting


def answer(chunk: Sequence[Pending], failure: Unavailable | None) -> None:
    """Complete the acknowledgements of a chunk, in the event loop."""
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for them
        chunk[0].loop.call_soon_threadsafe(_complete, chunk, failure)


def _complete(chunk: Sequence[Pending], failure: Unavailable | None) -> None:
    for pending in chunk:
        try:
            pending.ack.complete(failure)
        except Exception:  # the others of the chunk must be completed as well
            log.exception("An acknowledgement could not be completed.")
