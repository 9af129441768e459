"""Copies of the outbox for the store's tables `budget_events` and `webhook_deliveries`: what changed since the last.

The outbox is the truth; a copy that is made twice is the same row twice, which the tables' keys make one.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collector.model.columns import NANOSECONDS, TEXT
from collector.sqlite import Database, Row, storable

# As in schema/clickhouse, 0007_budget_events.sql and 0031_budget_history_of_projects.sql.
EVENTS = pa.schema(
    {
        "Id": TEXT,
        "Project": TEXT,
        "Type": TEXT,
        "Budget": TEXT,
        "Scope": pa.list_(TEXT),
        "Threshold": TEXT,
        "PeriodStart": NANOSECONDS,
        "PeriodEnd": NANOSECONDS,
        "CreatedAt": NANOSECONDS,
        "Webhooks": pa.list_(TEXT),
        "Data": TEXT,
    }
)
DELIVERIES = pa.schema(
    {
        "EventId": TEXT,
        "Endpoint": TEXT,
        "Attempt": pa.uint32(),
        "At": NANOSECONDS,
        "Duration": pa.uint64(),
        "Outcome": TEXT,
        "Status": pa.uint16(),
        "Error": TEXT,
        "Response": TEXT,
    }
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Which rows of the outbox a copy holds."""

    events: tuple[int, ...] = ()
    attempts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Copies:
    """Rows to insert: a batch for each table, or None, and a token of each that is the same for the same rows."""

    events: pa.RecordBatch | None
    events_token: str
    deliveries: pa.RecordBatch | None
    deliveries_token: str
    marks: Marks

    def __bool__(self) -> bool:
        return bool(self.marks.events or self.marks.attempts)


class Copier:
    """Hands out what has not been copied. Thread-safe; blocks on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def copies(self, limit: int = 1000) -> Copies:
        """Up to `limit` events and as many attempts, oldest first."""
        events = self._database.read(_event, "events_to_copy", (limit,))
        attempts = self._database.read(_attempt, "attempts_to_copy", (limit,))
        marks = Marks(tuple(row.pop("seq") for row in events), tuple(row.pop("seq") for row in attempts))
        return Copies(
            pa.RecordBatch.from_pylist(events, EVENTS) if events else None,
            _token(events),
            pa.RecordBatch.from_pylist(attempts, DELIVERIES) if attempts else None,
            _token(attempts),
            marks,
        )

    def copied(self, marks: Marks) -> None:
        """These are in the store; do not hand them out again."""
        with self._database.transaction() as transaction:
            transaction.run("events_copied", (json.dumps(marks.events),))
            transaction.run("attempts_copied", (json.dumps(marks.attempts),))


def _token(rows: list[dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _event(row: Row) -> dict[str, Any]:
    scope = [storable(value) for value in json.loads(row["Scope"])]
    return {**dict(row), "Scope": scope, "Webhooks": json.loads(row["Webhooks"])}


def _attempt(row: Row) -> dict[str, Any]:
    return dict(row)
