"""Leases on disk: one SQLite file, one thread that writes it, one commit for all that wait.

Every write is a lease's whole state, and states merge: whatever order writes are made in, the row is the last one.
"""

import contextlib
import json
import os
import queue
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from collector.errors import Reason, StartError, Unavailable
from collector.model.leases import Lease, LeaseState

log = structlog.get_logger("spanmeter.leases")

_MAX_BATCH = 1_000

# A lease that has ended can be asked for this long after it would have expired.
_KEPT_NS = 7 * 86_400 * 10**9

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leases (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    said TEXT NOT NULL,
    pico INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL,
    spent_pico INTEGER NOT NULL,
    spent_tokens INTEGER NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID
"""

_INDEX = "CREATE INDEX IF NOT EXISTS leases_by_expiry ON leases (expires_ns)"

_PUT = """
INSERT INTO leases (id, project, said, pico, tokens, created_ns, expires_ns, spent_pico, spent_tokens, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    pico = MIN(pico, excluded.pico),
    tokens = MIN(tokens, excluded.tokens),
    expires_ns = MIN(expires_ns, excluded.expires_ns),
    spent_pico = MAX(spent_pico, excluded.spent_pico),
    spent_tokens = MAX(spent_tokens, excluded.spent_tokens),
    state = CASE WHEN state = 'open' THEN excluded.state ELSE state END
"""

_COLUMNS = "SELECT id, project, said, pico, tokens, created_ns, expires_ns, spent_pico, spent_tokens, state FROM leases"
_OPEN = f"{_COLUMNS} WHERE expires_ns > ? AND state = 'open'"
_ONE = f"{_COLUMNS} WHERE id = ?"
_MAX_INTEGER = 2**63 - 1  # what an INTEGER holds

_PRUNE = "DELETE FROM leases WHERE expires_ns < ?"


class LeaseStore:
    """What is durable of leases. Raises StartError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes: queue.SimpleQueue[tuple[Sequence[Lease], Future[None]] | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # For its owner only: what was said of runs names customers.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = self._open(_SCHEMA, _INDEX)
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"Cannot use the lease file {path}: {error}.") from None
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
        """Every lease that is open and has not expired. Forgets those that ended long ago. Blocking."""
        with self._another() as connection:
            connection.execute(_PRUNE, (now_ns - _KEPT_NS,))
            return [_lease(row) for row in connection.execute(_OPEN, (now_ns,))]

    def find(self, lease_id: str) -> Lease | None:
        """A lease in whatever state it was last written. Blocking; raises Unavailable(DISK)."""
        try:
            with self._another() as connection:
                row = connection.execute(_ONE, (lease_id,)).fetchone()
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        return _lease(row) if row else None

    def close(self) -> None:
        """Write what waits, then close the file."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._writes.put(None)
        self._thread.join()
        self._connection.close()

    def _open(self, *statements: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", *statements):
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    def _another(self) -> "contextlib.closing[sqlite3.Connection]":
        return contextlib.closing(self._open())

    def _write_all(self) -> None:
        while (first := self._writes.get()) is not None:
            batch, last = self._taken(first)
            self._write(batch)
            if last:
                return

    def _taken(
        self, first: tuple[Sequence[Lease], "Future[None]"]
    ) -> tuple[list[tuple[Sequence[Lease], "Future[None]"]], bool]:
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

    def _write(self, batch: Sequence[tuple[Sequence[Lease], "Future[None]"]]) -> None:
        rows = [_row(lease) for leases, _ in batch for lease in leases]
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.executemany(_PUT, rows)
        except sqlite3.Error as error:
            log.error("Leases could not be written.", why=str(error), leases=len(rows))
            for _, future in batch:
                future.set_exception(self._unavailable(error))
        else:
            for _, future in batch:
                future.set_result(None)

    def _unavailable(self, error: sqlite3.Error) -> Unavailable:
        return Unavailable(Reason.DISK, f"The lease file {self._path.name} cannot be used: {error}.")


def _row(lease: Lease) -> tuple[Any, ...]:
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


def _lease(row: Sequence[Any]) -> Lease:
    lease_id, project, said, pico, tokens, created, expires, spent_pico, spent_tokens, state = row
    return Lease(
        id=lease_id,
        project=project,
        stated=json.loads(said),
        pico=pico,
        tokens=tokens,
        created_ns=created,
        expires_ns=expires,
        spent_pico=spent_pico,
        spent_tokens=spent_tokens,
        state=LeaseState(state),
    )
