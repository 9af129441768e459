"""The file of the outbox: SQLite, and every commit on disk before it is answered (WAL, synchronous=FULL).

Several threads and processes may have it open; a transaction is short, and the next one waits for it.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.errors import Reason, StartError, Unavailable

_WAIT_SECONDS = 30.0
# One entry a version, each a list of statements; a database is brought up from the version it has.
_VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        # What fired. `keep_from` is the moment from which its retention counts; `copied` whether the store has it.
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            type TEXT NOT NULL,
            budget TEXT NOT NULL,
            scope TEXT NOT NULL,
            period_start INTEGER NOT NULL,
            period_end INTEGER NOT NULL,
            threshold TEXT NOT NULL,
            created_ns INTEGER NOT NULL,
            data TEXT NOT NULL,
            webhooks TEXT NOT NULL,
            keep_from INTEGER NOT NULL,
            copied INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX events_of_budget ON events (budget, period_start)",
        "CREATE INDEX events_by_age ON events (keep_from)",
        "CREATE INDEX events_to_copy ON events (seq) WHERE copied = 0",
        # state: pending, held (endpoint disabled or not configured), delivered, failed (given up).
        # attempts counts all; tries those since it was queued, by which the schedule goes. body is NULL until the
        # endpoint, and with it the template, is known.
        """CREATE TABLE deliveries (
            id INTEGER PRIMARY KEY,
            event_id TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            body BLOB,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            tries INTEGER NOT NULL DEFAULT 0,
            queued_at INTEGER NOT NULL,
            next_at INTEGER NOT NULL,
            claimed_until INTEGER NOT NULL DEFAULT 0,
            finished_at INTEGER,
            UNIQUE (event_id, endpoint)
        )""",
        "CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE state = 'pending'",
        "CREATE INDEX deliveries_by_state ON deliveries (state, endpoint, finished_at)",
        """CREATE TABLE attempts (
            id INTEGER PRIMARY KEY,
            event_id TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            at INTEGER NOT NULL,
            duration INTEGER NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            error TEXT NOT NULL,
            response TEXT NOT NULL,
            copied INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX attempts_of_event ON attempts (event_id, endpoint, attempt)",
        "CREATE INDEX attempts_to_copy ON attempts (id) WHERE copied = 0",
        # The endpoints as configured last; disabled_at is set by a 410 and cleared by another fingerprint.
        """CREATE TABLE endpoints (
            name TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            disabled_at INTEGER,
            reason TEXT NOT NULL DEFAULT ''
        )""",
        # The lines of rolling windows that were told of.
        """CREATE TABLE lines_over (
            budget TEXT NOT NULL,
            scope TEXT NOT NULL,
            type TEXT NOT NULL,
            threshold TEXT NOT NULL,
            PRIMARY KEY (budget, scope, type, threshold)
        ) WITHOUT ROWID""",
    ),
    # The start of the step that was told of last; the threshold of a line is with the limit now.
    (
        "DELETE FROM lines_over",
        "ALTER TABLE lines_over ADD COLUMN step INTEGER NOT NULL DEFAULT 0",
        # 0 while an event lacks what only the store knows.
        "ALTER TABLE events ADD COLUMN described INTEGER NOT NULL DEFAULT 1",
        "CREATE INDEX events_to_describe ON events (seq) WHERE described = 0",
    ),
)


class Database:
    """One connection, for any thread; its users take turns."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises StartError."""
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner only: events name customers
            self._connection = sqlite3.connect(
                path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"Cannot open the webhook outbox {path}: {error}.") from None
        try:
            self._connection.row_factory = sqlite3.Row
            self._set_up()
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self) -> None:
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            with self.transaction() as connection:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version > len(_VERSIONS):
                    raise StartError(
                        f"The webhook outbox {self._path} is of a newer version of spanmeter ({version}, this one "
                        f"knows {len(_VERSIONS)}). Run that version, or move the file away."
                    )
                for statement in (text for texts in _VERSIONS[version:] for text in texts):
                    connection.execute(statement)
                if version < len(_VERSIONS):
                    connection.execute(f"PRAGMA user_version = {len(_VERSIONS)}")
        except (sqlite3.Error, Unavailable) as error:
            raise StartError(
                f"Cannot use the webhook outbox {self._path}: {error}. If it is damaged, move it away: events that "
                "were not delivered are then lost, and those of current periods are sent again."
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing, on disk when it ends. Raises Unavailable when the file cannot be used now."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._unavailable(error) from error

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a SELECT answers. Raises Unavailable."""
        with self._lock:
            try:
                return self._connection.execute(statement, parameters).fetchall()
            except sqlite3.Error as error:
                raise self._unavailable(error) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _unavailable(self, error: sqlite3.Error) -> Unavailable:
        return Unavailable(Reason.DISK, f"The webhook outbox {self._path} cannot be used: {error}.")


def storable(text: str) -> str:
    """Text as SQLite and Arrow can hold it: half a surrogate pair cannot be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
