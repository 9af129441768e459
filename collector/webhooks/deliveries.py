"""The deliveries of the outbox: who takes one up, how it went, and when it is due again.

A delivery is claimed for a while before it is sent. Whoever dies in between leaves it pending: the claim runs out and
it is sent again, with the same id and the same bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.model.clock import Clock, SteadyClock
from collector.sqlite import Database, Row, Transaction
from collector.webhooks.endpoint_states import EndpointStates
from collector.webhooks.retries import LONGEST_DELAY

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


class Deliveries:
    """Rows of the tables `deliveries` and `attempts`. Thread-safe; every method blocks on the disk.

    When something is due is by `steady`, so that setting the wall clock neither hastens nor delays an attempt.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        endpoints: EndpointStates,
        late_body: Callable[[Transaction, str, str], bytes],
    ) -> None:
        """`late_body` renders an event (by id) for an endpoint: one that was unknown, or a body that was not ready."""
        self._database = database
        self._clock = clock
        self.steady = SteadyClock(clock)
        self._endpoints = endpoints
        self._late_body = late_body

    def queue(
        self, transaction: Transaction, event_id: str, bodies: Mapping[str, bytes | None], wait_ns: int = 0
    ) -> None:
        """Add one delivery an endpoint within the caller's transaction, due in `wait_ns`."""
        now, due = self._clock.time_ns(), self.steady.time_ns() + wait_ns
        for name, body in bodies.items():
            row = {"event": event_id, "endpoint": name, "body": body, "now": now, "due": due}
            transaction.run("queue", row)

    def hasten(self, transaction: Transaction, event_id: str) -> None:
        """What waits for its first attempt is due now, within the caller's transaction."""
        transaction.run("hasten", {"event": event_id, "now": self.steady.time_ns()})

    def claim(self, endpoint: str, limit: int, lease: float) -> list[WebhookDelivery]:
        """Take up to `limit` due deliveries of an endpoint; no one else gets them for `lease` seconds."""
        now = self.steady.time_ns()
        due = (endpoint, now, now, limit)
        if not self._database.rows("due", due):
            return []
        with self._database.transaction() as transaction:
            rows = transaction.rows("claim", (now + int(lease * 1e9), *due))
            return [self._claimed(transaction, row) for row in rows]

    def _claimed(self, transaction: Transaction, row: Row) -> WebhookDelivery:
        body = row["body"]
        if body is None:
            body = self._late_body(transaction, row["event_id"], row["endpoint"])
            transaction.run("set_body", (body, row["id"]))
        return WebhookDelivery(row["id"], row["event_id"], row["endpoint"], body, row["attempts"] + 1, row["tries"])

    def next_due(self, endpoints: Iterable[str]) -> int | None:
        """When the earliest delivery of these endpoints that no one has claimed is due (`steady`); None without any."""
        now = self.steady.time_ns()
        rows = [row for name in endpoints for row in self._database.rows("next_due", (name, now))]
        return min((row["next_at"] for row in rows), default=None)

    def succeeded(self, delivery: WebhookDelivery, attempt: Attempt) -> None:
        """Log the attempt; the delivery is done."""
        self._finish(delivery, attempt, DELIVERED)

    def failed(self, delivery: WebhookDelivery, attempt: Attempt, next_at: int | None) -> None:
        """Log the attempt; it is due again at `next_at` (of `steady`), or given up."""
        self._finish(delivery, attempt, FAILED if next_at is None else PENDING, next_at)

    def gone(self, delivery: WebhookDelivery, attempt: Attempt, fingerprint: str) -> None:
        """Log the attempt and disable its endpoint, if it still is the one that was asked; what waits is held."""
        with self._database.transaction() as transaction:
            self._log(transaction, delivery, attempt, HELD, None)
            self._endpoints.disable(transaction, delivery.endpoint, fingerprint, attempt.error)

    def release(self, ids: Sequence[int] | None = None) -> None:
        """Let go of these claims without an attempt; without `ids`, of all: a daemon that starts is alone.

        Nothing is put off for longer than the schedule does, as by a process whose clock was another.
        """
        latest = self.steady.time_ns() + int(LONGEST_DELAY * 1e9)
        with self._database.transaction() as transaction:
            if ids is None:
                transaction.run("release_all", (latest, latest))
            transaction.run_each("release", [(row,) for row in ids or ()])

    def _finish(self, delivery: WebhookDelivery, attempt: Attempt, state: str, next_at: int | None = None) -> None:
        with self._database.transaction() as transaction:
            self._log(transaction, delivery, attempt, state, next_at)

    def _log(
        self,
        transaction: Transaction,
        delivery: WebhookDelivery,
        attempt: Attempt,
        state: str,
        next_at: int | None,
    ) -> None:
        finished = self._clock.time_ns() if state in {DELIVERED, FAILED} else None
        error = attempt.error[:_MAX_ERROR_LENGTH]
        key = (delivery.event_id, delivery.endpoint, delivery.attempt)
        facts = (attempt.at, attempt.duration, attempt.outcome, attempt.status, error, attempt.response)
        transaction.run("log_attempt", (*key, *facts))
        transaction.run("conclude", (state, next_at or self._clock.time_ns(), finished, delivery.id))

    def log_ended(self, transaction: Transaction, event_id: str, endpoint: str, body: bytes, attempt: Attempt) -> None:
        """Log within the caller's transaction a delivery that had one attempt and gets no more."""
        self.queue(transaction, event_id, {endpoint: body})
        (row,) = transaction.rows("delivery_id", (event_id, endpoint))
        delivery = WebhookDelivery(row["id"], event_id, endpoint, body, 1, 0)
        self._log(transaction, delivery, attempt, DELIVERED if attempt.outcome == DELIVERED else FAILED, None)

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
        with self._database.transaction() as transaction:
            transaction.run("enable_chosen", chosen)
            count = transaction.run("requeue", chosen)
            self._endpoints.hold_and_resume(transaction)
        return count
