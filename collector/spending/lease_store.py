"""Leases on disk: one SQLite file, one thread that writes it, one commit for all that wait.

Every write is a lease's whole state, and states merge: whatever order writes are made in, the row is the last one.
"""

import json
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from collector.errors import Reason, Unavailable
from collector.model.leases import Lease, LeaseState
from collector.sqlite import Database, Kind, Row, Value, starting

log = structlog.get_logger("spanmeter.leases")

KIND = Kind(
    "leases",
    "lease file",
    "The leases of runs under way are lost then: what they have set aside may be promised again.",
    wait_seconds=5.0,
)
_MAX_BATCH = 1_000

# A lease that has ended can be asked for this long after it would have expired.
_KEPT_NS = 7 * 86_400 * 10**9
_MAX_INTEGER = 2**63 - 1  # what an INTEGER holds

_Write = tuple[Sequence[Lease], "Future[None]"]


class LeaseStore:
    """What is durable of leases. Raises StartError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._database = Database(path, KIND)
        self._reader = Database(path, KIND, check=False)  # of its own: whoever asks does not wait for commits
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._write_all, name="leases", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def put(self, leases: Sequence[Lease]) -> "Future[None]":
        """Make the states of `leases` durable. The future ends once they are, or with Unavailable(DISK).

        It cannot be cancelled: what was asked to be durable will be.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._closing:
            if self._closed:
                future.set_exception(Unavailable(Reason.STOPPING, "The daemon is stopping."))
            else:
                self._writes.put((leases, future))
        return future

    def open_leases(self, now_ns: int) -> list[Lease]:
        """Every lease that is open and has not expired. Forgets those that ended long ago. Blocking.

        For the start: raises StartError.
        """
        with starting():
            with self._database.transaction() as transaction:
                transaction.run("prune", (now_ns - _KEPT_NS,))
            return self._database.read(_lease, "open", (now_ns,))

    def find(self, lease_id: str) -> Lease | None:
        """A lease in whatever state it was last written. Blocking; raises Unavailable(DISK)."""
        return next(iter(self._reader.read(_lease, "one", (lease_id,))), None)

    def close(self) -> None:
        """Write what waits, then close the file."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._writes.put(None)
        self._thread.join()
        self._reader.close()
        self._database.close()

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            batch, last = self._taken(first)
            self._write(batch)
            if last:
                return

    def _taken(self, first: _Write) -> tuple[list[_Write], bool]:
        """`first` and what waits behind it, and whether the end was among it."""
        batch = [first]
        while len(batch) < _MAX_BATCH:
            try:
                more = self._writes.get_nowait()
            except queue.Empty:
                return batch, False
            if more is None:
                return batch, True
            batch.append(more)
        return batch, False

    def _write(self, batch: Sequence[_Write]) -> None:
        rows = [_row(lease) for leases, _ in batch for lease in leases]
        try:
            with self._database.transaction() as transaction:
                transaction.run_each("put", rows)
        except Unavailable as error:
            log.error("Leases could not be written.", why=str(error), leases=len(rows))
            for _, future in batch:
                future.set_exception(Unavailable(error.reason, str(error)))
        else:
            for _, future in batch:
                future.set_result(None)


def _row(lease: Lease) -> tuple[Value, ...]:
    return (
        lease.id,
        lease.project,
        json.dumps(dict(lease.stated)),
        lease.pico,
        lease.tokens,
        lease.created_ns,
        lease.expires_ns,
        min(lease.spent_pico, _MAX_INTEGER),
        min(lease.spent_tokens, _MAX_INTEGER),
        lease.state.value,
    )


def _lease(row: Row) -> Lease:
    return Lease(
        id=row["id"],
        project=row["project"],
        stated=json.loads(row["said"]),
        pico=row["pico"],
        tokens=row["tokens"],
        created_ns=row["created_ns"],
        expires_ns=row["expires_ns"],
        spent_pico=row["spent_pico"],
        spent_tokens=row["spent_tokens"],
        state=LeaseState(row["state"]),
    )
