"""What fired, and for whom: written before anything is sent, and the answer to "has this fired already?".

Recording an event twice changes nothing, so whoever decides may crash and decide again.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collector.model.budgets import BudgetEvent, EventType, Line, Scope
from collector.model.clock import Clock
from collector.telemetry import Sample, catalogue
from collector.webhooks.copies import Copier
from collector.webhooks.database import Database, storable
from collector.webhooks.deliveries import Attempt, Deliveries
from collector.webhooks.endpoint import STANDARD, Endpoint
from collector.webhooks.payloads import render

_DAY = 86_400 * 10**9
_MAX_PERIOD = 366 * _DAY
# Longer than a late span is counted in a period that has ended (budgets.ledger): what fired must be known till then.
RETENTION_SECONDS = 40 * 86_400.0
# What the store knows of an event is waited for so long: it has to be on its way within two seconds of the span.
_CONTRIBUTORS_WITHIN_NS = 600_000_000
FILE = "webhooks.db"  # in the data directory


class Outbox:
    """The events, with `deliveries` their way out and with `copier` their way into the store.

    Thread-safe; every method blocks on the disk.

    `retention` (seconds) counts from the end of an event's period, or from when it was recorded if that is later.
    It must not be shorter than spans are stored: a late span of an older period would fire its event again.
    """

    def __init__(self, path: Path, clock: Clock, retention: float = RETENTION_SECONDS) -> None:
        """Open `path` or create it. Raises StartError."""
        self._database = Database(path)
        self._clock = clock
        self._retention_ns = int(retention * 1e9)
        self._templates: Mapping[str, str] = {}
        self._sent_without_contributors = 0
        self.deliveries = Deliveries(self._database, clock, self._late_body)
        self.copier = Copier(self._database)

    def configure(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Send to these from now on. For the daemon alone: what it does not name is held until it is named again."""
        self._templates = {endpoint.name: endpoint.template for endpoint in endpoints.values()}
        self.deliveries.configure(endpoints)

    def record(
        self, events: Iterable[BudgetEvent], notified: Mapping[Line, int | None] = MappingProxyType({})
    ) -> list[BudgetEvent]:
        """Make events and their deliveries durable, all or none; those that were not known before.

        With them the steps that speak for lines of rolling windows from now on; None, that no step does. Raises
        Unavailable when the disk refuses; nothing is recorded then.
        """
        rows = [(event, self._row(event), self._bodies(event)) for event in events]
        if not rows and not notified:
            return []
        new = []
        with self._database.transaction() as connection:
            kept = {line: step for line, step in notified.items() if step is not None}
            connection.executemany(_DELETE_LINE, [_line_row(line) for line in notified if line not in kept])
            connection.executemany(_PUT_LINE, [(*_line_row(line), step) for line, step in kept.items()])
            for event, row, bodies in rows:
                if connection.execute(_INSERT_EVENT, row).rowcount:
                    self.deliveries.queue(
                        connection, event.id, bodies, 0 if event.has_contributors else _CONTRIBUTORS_WITHIN_NS
                    )
                    new.append(event)
        return new

    def without_contributors(self, limit: int) -> list[BudgetEvent]:
        """Events that lack what only the store knows, oldest first."""
        return [_event(row) for row in self._database.rows(_WITHOUT_CONTRIBUTORS, (limit,))]

    def add_contributors(self, more: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to the data of events, by id, and let them go. Those that were sent by now stay as they are."""
        if not more:
            return
        with self._database.transaction() as connection:
            for event_id, values in more.items():
                for row in connection.execute("SELECT data FROM events WHERE id = ? AND described = 0", (event_id,)):
                    data = json.dumps(json.loads(row["data"]) | dict(values), default=str)
                    connection.execute("UPDATE events SET data = ?, described = 1 WHERE id = ?", (data, event_id))
                    self.deliveries.hasten(connection, event_id)

    def readings(self) -> Iterator[Sample]:
        """For /metrics."""
        yield Sample(catalogue.WEBHOOKS_EVENTS_WITHOUT_TOP, self._sent_without_contributors)

    def note_test(self, event: BudgetEvent, endpoint: Endpoint, body: bytes, attempt: Attempt) -> None:
        """Log a test that has been sent: whatever came of it, it is not sent again."""
        with self._database.transaction() as connection:
            connection.execute(_INSERT_EVENT, self._row(event))
            self.deliveries.log_ended(connection, event.id, endpoint.name, body, attempt)

    def _row(self, event: BudgetEvent) -> tuple[object, ...]:
        keep_from = max(event.period_end, self._clock.time_ns())
        if not event.period_end and event.type is not EventType.TEST:
            keep_from += _MAX_PERIOD  # of a period that is not said, the end may be this far
        scope, data = json.dumps(event.scope), json.dumps(event.data, default=str)
        period = (event.period_start, event.period_end)
        webhooks = json.dumps(event.webhooks)
        head = (event.id, event.type.value, storable(event.budget), scope, *period, event.threshold)
        return (*head, event.created_ns, data, webhooks, keep_from, int(event.has_contributors))

    def _bodies(self, event: BudgetEvent) -> dict[str, bytes | None]:
        return {name: self._body(event, name) for name in event.webhooks}

    def _body(self, event: BudgetEvent, endpoint: str) -> bytes | None:
        """None while an event is not described, and while an endpoint is not configured: its template is unknown."""
        template = self._templates.get(endpoint)
        return None if template is None or not event.has_contributors else render(event, template)

    def _late_body(self, connection: sqlite3.Connection, event_id: str, endpoint: str) -> bytes:
        """The body of what was recorded before it was described, or its endpoint configured."""
        (row,) = connection.execute("SELECT * FROM events WHERE id = ?", (event_id,))
        if not row["described"]:
            # It waits no longer; from now on it is the same for all endpoints.
            connection.execute("UPDATE events SET described = 1 WHERE id = ?", (event_id,))
            self._sent_without_contributors += 1
        return render(_event(row), self._templates.get(endpoint, STANDARD))

    def has(self, event_id: str) -> bool:
        """Whether the event has been recorded."""
        return bool(self._database.rows("SELECT 1 FROM events WHERE id = ?", (event_id,)))

    def notified(self) -> dict[Line, int]:
        """For each line of a rolling window the step (Unix ns) that was told of last."""
        return {
            Line(row["budget"], tuple(json.loads(row["scope"])), EventType(row["type"]), row["threshold"]): row["step"]
            for row in self._database.rows("SELECT * FROM lines_over")
        }

    def events(self, budget: str | None = None, limit: int = 100) -> list[BudgetEvent]:
        """The latest events, newest first, of one budget or of all."""
        if budget is None:
            rows = self._database.rows("SELECT * FROM events ORDER BY seq DESC LIMIT ?", (limit,))
        else:
            rows = self._database.rows(_OF_BUDGET, (storable(budget), limit))
        return [_event(row) for row in rows]

    def crossed_since(self, budget: str, period_start: int) -> set[tuple[int, int, Scope]]:
        """The periods (start and end) that began then or later and in which a line was crossed in time; the scopes."""
        rows = self._database.rows(_CROSSED, (storable(budget), period_start))
        return {(row["period_start"], row["period_end"], tuple(json.loads(row["scope"]))) for row in rows}

    def prune(self) -> int:
        """Forget what is past its retention; the number of events forgotten."""
        before = self._clock.time_ns() - self._retention_ns
        with self._database.transaction() as connection:
            self.deliveries.prune(connection, before)
            return connection.execute("DELETE FROM events WHERE keep_from < ?", (before,)).rowcount

    def close(self) -> None:
        self._database.close()


_INSERT_EVENT = """
INSERT OR IGNORE INTO events
    (id, type, budget, scope, period_start, period_end, threshold, created_ns, data, webhooks, keep_from,
     described)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PUT_LINE = "INSERT OR REPLACE INTO lines_over (budget, scope, type, threshold, step) VALUES (?, ?, ?, ?, ?)"
_DELETE_LINE = "DELETE FROM lines_over WHERE budget = ? AND scope = ? AND type = ? AND threshold = ?"
_OF_BUDGET = "SELECT * FROM events WHERE budget = ? ORDER BY seq DESC LIMIT ?"
_WITHOUT_CONTRIBUTORS = "SELECT * FROM events WHERE described = 0 ORDER BY seq LIMIT ?"
_CROSSED = """
SELECT DISTINCT period_start, period_end, scope FROM events
WHERE budget = ? AND period_start >= ? AND type IN ('budget.threshold_reached', 'budget.breached')
    AND created_ns < period_end
"""


def _line_row(line: Line) -> tuple[str, ...]:
    return storable(line.budget), json.dumps(line.scope), line.type.value, line.threshold


def _event(row: sqlite3.Row) -> BudgetEvent:
    return BudgetEvent(
        id=row["id"],
        type=EventType(row["type"]),
        budget=row["budget"],
        created_ns=row["created_ns"],
        data=json.loads(row["data"]),
        webhooks=tuple(json.loads(row["webhooks"])),
        scope=tuple(json.loads(row["scope"])),
        period_start=row["period_start"],
        period_end=row["period_end"],
        threshold=row["threshold"],
        has_contributors=bool(row["described"]),
    )
