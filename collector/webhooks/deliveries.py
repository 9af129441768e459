"""The deliveries of the outbox: who takes one up, how it went, and when it is due again.

A delivery is claimed for a while before it is sent. Whoever dies in between leaves it pending: the claim runs out and
it is sent again, with the same id and the same bytes.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.model.clock import Clock
from collector.webhooks.database import Database
from collector.webhooks.endpoint import Endpoint

PENDING, HELD, DELIVERED, FAILED = "pending", "held", "delivered", "failed"
_MAX_ERROR_LENGTH = 500


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One event on its way to one endpoint. `attempt` numbers the coming attempt, `tries` those of this queueing."""

    id: int
    event_id: str
    endpoint: str
    body: bytes
    attempt: int
    tries: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt went: `status` 0 and `error` where there was no answer. Times in ns."""

    at: int
    duration: int
    outcome: str
    status: int = 0
    error: str = ""
    response: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The state of all deliveries; `oldest` is when the longest-waiting pending one was queued (Unix ns), or 0."""

    pending: int = 0
    held: int = 0
    failed: int = 0
    disabled: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A delivery for people: where it stands, and how its last attempt went. `next_at` in Unix ns."""

    event_id: str
    type: str
    budget: str
    endpoint: str
    state: str
    attempts: int
    queued_at: int
    next_at: int
    status: int
    error: str


class Deliveries:
    """Rows of the tables `deliveries`, `attempts` and `endpoints`. Thread-safe; every method blocks on the disk."""

    def __init__(
        self, database: Database, clock: Clock, late_body: Callable[[sqlite3.Connection, str, str], bytes]
    ) -> None:
        """`late_body` renders an event (by id) for an endpoint: one that was unknown, or a body that was not ready."""
        self._database = database
        self._clock = clock
        self._late_body = late_body

    def configure(self, endpoints: Mapping[str, Endpoint]) -> None:
        """An endpoint that changed is enabled again; deliveries of endpoints that are gone are held."""
        with self._database.transaction() as connection:
            known = {row["name"]: row["fingerprint"] for row in connection.execute("SELECT * FROM endpoints")}
            for name, endpoint in endpoints.items():
                if known.get(name) != endpoint.fingerprint:
                    connection.execute(_CONFIGURE, (name, endpoint.fingerprint))
            for name in known.keys() - endpoints.keys():
                connection.execute("DELETE FROM endpoints WHERE name = ?", (name,))
            self._hold_and_release(connection)

    def queue(
        self, connection: sqlite3.Connection, event_id: str, bodies: Mapping[str, bytes | None], wait_ns: int = 0
    ) -> None:
        """Add one delivery an endpoint within the caller's transaction, due in `wait_ns`."""
        now = self._clock.time_ns()
        for name, body in bodies.items():
            row = {"event": event_id, "endpoint": name, "body": body, "now": now, "due": now + wait_ns}
            connection.execute(_QUEUE, row)

    def hasten(self, connection: sqlite3.Connection, event_id: str) -> None:
        """What waits for its first attempt is due now, within the caller's transaction."""
        connection.execute(_HASTEN, {"event": event_id, "now": self._clock.time_ns()})

    def claim(self, endpoint: str, limit: int, lease: float) -> list[WebhookDelivery]:
        """Take up to `limit` due deliveries of an endpoint; no one else gets them for `lease` seconds."""
        now = self._clock.time_ns()
        due = (endpoint, now, now, limit)
        if not self._database.rows(_DUE, due):
            return []
        with self._database.transaction() as connection:
            rows = connection.execute(_CLAIM, (now + int(lease * 1e9), *due)).fetchall()
            return [self._claimed(connection, row) for row in rows]

    def _claimed(self, connection: sqlite3.Connection, row: sqlite3.Row) -> WebhookDelivery:
        body = row["body"]
        if body is None:
            body = self._late_body(connection, row["event_id"], row["endpoint"])
            connection.execute("UPDATE deliveries SET body = ? WHERE id = ?", (body, row["id"]))
        return WebhookDelivery(row["id"], row["event_id"], row["endpoint"], body, row["attempts"] + 1, row["tries"])

    def next_due(self, endpoints: Iterable[str]) -> int | None:
        """When the earliest delivery of these endpoints that no one has claimed is due (Unix ns); None without any."""
        now = self._clock.time_ns()
        rows = [row for name in endpoints for row in self._database.rows(_NEXT, (name, now))]
        return min((row["next_at"] for row in rows), default=None)

    def succeeded(self, delivery: WebhookDelivery, attempt: Attempt) -> None:
        """Log the attempt; the delivery is done."""
        self._finish(delivery, attempt, DELIVERED)

    def failed(self, delivery: WebhookDelivery, attempt: Attempt, next_at: int | None) -> None:
        """Log the attempt; it is due again at `next_at` (Unix ns), or given up."""
        self._finish(delivery, attempt, FAILED if next_at is None else PENDING, next_at)

    def gone(self, delivery: WebhookDelivery, attempt: Attempt, fingerprint: str) -> None:
        """Log the attempt and disable its endpoint, if it still is the one that was asked; what waits is held."""
        now = self._clock.time_ns()
        with self._database.transaction() as connection:
            self._log(connection, delivery, attempt, HELD, None)
            connection.execute(_DISABLE, (now, attempt.error, delivery.endpoint, fingerprint))
            self._hold_and_release(connection)

    def release(self, ids: Sequence[int] | None = None) -> None:
        """Let go of these claims without an attempt; without `ids`, of all: a daemon that starts is alone."""
        with self._database.transaction() as connection:
            if ids is None:
                connection.execute("UPDATE deliveries SET claimed_until = 0 WHERE claimed_until > 0")
            for row in ids or ():
                connection.execute("UPDATE deliveries SET claimed_until = 0 WHERE id = ?", (row,))

    def _finish(self, delivery: WebhookDelivery, attempt: Attempt, state: str, next_at: int | None = None) -> None:
        with self._database.transaction() as connection:
            self._log(connection, delivery, attempt, state, next_at)

    def _log(
        self,
        connection: sqlite3.Connection,
        delivery: WebhookDelivery,
        attempt: Attempt,
        state: str,
        next_at: int | None,
    ) -> None:
        finished = self._clock.time_ns() if state in {DELIVERED, FAILED} else None
        error = attempt.error[:_MAX_ERROR_LENGTH]
        key = (delivery.event_id, delivery.endpoint, delivery.attempt)
        facts = (attempt.at, attempt.duration, attempt.outcome, attempt.status, error, attempt.response)
        connection.execute(_ATTEMPT, (*key, *facts))
        connection.execute(_OUTCOME, (state, next_at or self._clock.time_ns(), finished, delivery.id))

    def _hold_and_release(self, connection: sqlite3.Connection) -> None:
        connection.execute(_HOLD)
        connection.execute(_RESUME, (self._clock.time_ns(),))

    def log_ended(
        self, connection: sqlite3.Connection, event_id: str, endpoint: str, body: bytes, attempt: Attempt
    ) -> None:
        """Log within the caller's transaction a delivery that had one attempt and gets no more."""
        self.queue(connection, event_id, {endpoint: body})
        (row,) = connection.execute(_ID, (event_id, endpoint))
        delivery = WebhookDelivery(row["id"], event_id, endpoint, body, 1, 0)
        self._log(connection, delivery, attempt, DELIVERED if attempt.outcome == DELIVERED else FAILED, None)

    def replay(
        self,
        ids: Sequence[str] | None = None,
        *,
        endpoint: str | None = None,
        since: int | None = None,
        failed: bool = False,
    ) -> int:
        """Queue deliveries anew, with the whole schedule before them, and enable their endpoints; how many.

        Of these events (None: all but tests), to this endpoint, decided at `since` (Unix ns) or later; `failed`: not
        those that were delivered.
        """
        chosen = {
            "ids": None if ids is None else json.dumps(list(ids)),
            "endpoint": endpoint,
            "since": since,
            "failed": failed,
            "now": self._clock.time_ns(),
        }
        with self._database.transaction() as connection:
            connection.execute(_ENABLE_CHOSEN, chosen)
            count = connection.execute(_REQUEUE, chosen).rowcount
            self._hold_and_release(connection)
        return count

    def enable(self, endpoint: str) -> None:
        """Send to an endpoint again that was disabled; what was held for it is due."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE endpoints SET disabled_at = NULL, reason = '' WHERE name = ?", (endpoint,))
            self._hold_and_release(connection)

    def disabled(self) -> dict[str, tuple[int, str]]:
        """The endpoints that are disabled: since when (Unix ns), and why."""
        rows = self._database.rows("SELECT * FROM endpoints WHERE disabled_at IS NOT NULL ORDER BY name")
        return {row["name"]: (row["disabled_at"], row["reason"]) for row in rows}

    def latest(self, limit: int) -> list[Summary]:
        """The deliveries queued last, newest first."""
        return [Summary(**row) for row in map(dict, self._database.rows(_LATEST, (limit,)))]

    def statistics(self) -> Statistics:
        """Numbers for metrics."""
        row = self._database.rows(_STATISTICS)[0]
        return Statistics(*(int(value or 0) for value in row))

    def prune(self, connection: sqlite3.Connection, before: int) -> None:
        """Delete within the caller's transaction what ended before `before`, and all of events that are forgotten."""
        for statement in _PRUNE:
            connection.execute(statement, (before,))


_CONFIGURE = """
INSERT INTO endpoints (name, fingerprint) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, disabled_at = NULL, reason = ''
"""
_QUEUE = """
INSERT OR IGNORE INTO deliveries (event_id, endpoint, body, state, queued_at, next_at)
SELECT
    :event,
    :endpoint,
    :body,
    CASE WHEN :endpoint IN (SELECT name FROM endpoints WHERE disabled_at IS NULL) THEN 'pending' ELSE 'held' END,
    :now,
    :due
"""
_HASTEN = "UPDATE deliveries SET next_at = min(next_at, :now) WHERE event_id = :event AND tries = 0"
_DUE = """
SELECT id FROM deliveries WHERE endpoint = ? AND state = 'pending' AND next_at <= ? AND claimed_until <= ? LIMIT ?
"""
_CLAIM = """
UPDATE deliveries SET claimed_until = ?
WHERE id IN (
    SELECT id FROM deliveries
    WHERE endpoint = ? AND state = 'pending' AND next_at <= ? AND claimed_until <= ?
    ORDER BY next_at, id LIMIT ?
)
RETURNING *
"""
_NEXT = """
SELECT next_at FROM deliveries WHERE endpoint = ? AND state = 'pending' AND claimed_until <= ? ORDER BY next_at LIMIT 1
"""
_DISABLE = "UPDATE endpoints SET disabled_at = ?, reason = ? WHERE name = ? AND fingerprint = ?"
_HOLD = """
UPDATE deliveries SET state = 'held'
WHERE state = 'pending' AND endpoint NOT IN (SELECT name FROM endpoints WHERE disabled_at IS NULL)
"""
_RESUME = """
UPDATE deliveries SET state = 'pending', next_at = ?
WHERE state = 'held' AND endpoint IN (SELECT name FROM endpoints WHERE disabled_at IS NULL)
"""
_ATTEMPT = """
INSERT INTO attempts (event_id, endpoint, attempt, at, duration, outcome, status, error, response)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ID = "SELECT id FROM deliveries WHERE event_id = ? AND endpoint = ?"
_OUTCOME = """
UPDATE deliveries
SET state = ?, next_at = ?, finished_at = ?, attempts = attempts + 1, tries = tries + 1, claimed_until = 0
WHERE id = ?
"""
_ENABLE_CHOSEN = """
UPDATE endpoints SET disabled_at = NULL, reason = ''
WHERE name IN (
    SELECT endpoint FROM deliveries
    WHERE (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)))
        AND (:endpoint IS NULL OR endpoint = :endpoint)
        AND (:since IS NULL OR event_id IN (SELECT id FROM events WHERE created_ns >= :since))
        AND (NOT :failed OR state != 'delivered')
        AND (:ids IS NOT NULL OR event_id NOT IN (SELECT id FROM events WHERE type = 'webhook.test'))
)
"""
_REQUEUE = """
UPDATE deliveries SET state = 'pending', tries = 0, queued_at = :now, next_at = :now, finished_at = NULL
WHERE (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)))
    AND (:endpoint IS NULL OR endpoint = :endpoint)
    AND (:since IS NULL OR event_id IN (SELECT id FROM events WHERE created_ns >= :since))
    AND (NOT :failed OR state != 'delivered')
    AND (:ids IS NOT NULL OR event_id NOT IN (SELECT id FROM events WHERE type = 'webhook.test'))
"""
_LATEST = """
SELECT
    deliveries.event_id,
    events.type,
    events.budget,
    deliveries.endpoint,
    deliveries.state,
    deliveries.attempts,
    deliveries.queued_at,
    deliveries.next_at,
    coalesce(last.status, 0) AS status,
    coalesce(last.error, '') AS error
FROM deliveries
JOIN events ON events.id = deliveries.event_id
LEFT JOIN attempts AS last
    ON last.event_id = deliveries.event_id
    AND last.endpoint = deliveries.endpoint
    AND last.attempt = deliveries.attempts
ORDER BY deliveries.queued_at DESC, deliveries.id DESC LIMIT ?
"""
_STATISTICS = """
SELECT
    (SELECT count(*) FROM deliveries WHERE state = 'pending'),
    (SELECT count(*) FROM deliveries WHERE state = 'held'),
    (SELECT count(*) FROM deliveries WHERE state = 'failed'),
    (SELECT count(*) FROM endpoints WHERE disabled_at IS NOT NULL),
    (SELECT min(queued_at) FROM deliveries WHERE state = 'pending')
"""
_PRUNE = (
    """DELETE FROM attempts WHERE (event_id, endpoint) IN
        (SELECT event_id, endpoint FROM deliveries WHERE state IN ('delivered', 'failed') AND finished_at < ?)""",
    "DELETE FROM deliveries WHERE state IN ('delivered', 'failed') AND finished_at < ?",
    "DELETE FROM attempts WHERE event_id IN (SELECT id FROM events WHERE keep_from < ?)",
    "DELETE FROM deliveries WHERE event_id IN (SELECT id FROM events WHERE keep_from < ?)",
)
