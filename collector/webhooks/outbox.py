"""What fired, and for whom: written before anything is sent, and the answer to "has this fired already?".

Recording an event twice changes nothing, so whoever decides may crash and decide again.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from collector.model.budgets import BudgetEvent, EventType, Line, Scope
from collector.model.clock import Clock
from collector.sqlite import Database, Kind, Row, Transaction, Value, starting, storable
from collector.telemetry import Sample, catalogue
from collector.webhooks.copies import Copier
from collector.webhooks.deliveries import Attempt, Deliveries
from collector.webhooks.endpoint import STANDARD, Endpoint
from collector.webhooks.endpoint_states import EndpointStates
from collector.webhooks.overview import Overview
from collector.webhooks.payloads import render

_DAY = 86_400 * 10**9
_MAX_PERIOD = 366 * _DAY
# Longer than a late span is counted in a period that has ended (budgets.ledger): what fired must be known till then.
RETENTION_SECONDS = 40 * 86_400.0
# What the store knows of an event is waited for so long: it has to be on its way within two seconds of the span.
_CONTRIBUTORS_WITHIN_NS = 600_000_000
FILE = "webhooks.db"  # in the data directory
KIND = Kind(
    "outbox",
    "webhook outbox",
    "Events that were not delivered are lost then, and those of current periods are sent again.",
)
# What goes before the events themselves do.
_PRUNED_FIRST = (
    "prune_attempts_of_ended",
    "prune_ended_deliveries",
    "prune_attempts_of_events",
    "prune_deliveries_of_events",
)


class Outbox:
    """The events, with `deliveries` their way out to `endpoints`, and with `copier` their way into the store.

    Thread-safe; every method blocks on the disk.

    `retention` (seconds) counts from the end of an event's period, or from when it was recorded if that is later.
    It must not be shorter than spans are stored: a late span of an older period would fire its event again.
    """

    def __init__(self, path: Path, clock: Clock, retention: float = RETENTION_SECONDS) -> None:
        """Open `path` or create it. Raises StartError."""
        self._database = Database(path, KIND)
        self._clock = clock
        self._retention_ns = int(retention * 1e9)
        self._templates: Mapping[str, str] = {}
        self._sent_without_contributors = 0
        self.endpoints = EndpointStates(self._database, clock)
        self.deliveries = Deliveries(self._database, clock, self.endpoints, self._late_body)
        self.overview = Overview(self._database)
        self.copier = Copier(self._database)

    def configure(self, endpoints: Mapping[str, Endpoint]) -> None:
        """Send to these from now on. For the daemon alone: what it does not name is held until it is named again."""
        self._templates = {endpoint.name: endpoint.template for endpoint in endpoints.values()}
        self.endpoints.configure(endpoints)

    def record(
        self, events: Iterable[BudgetEvent], notified: Mapping[Line, int | None] = MappingProxyType({})
    ) -> list[BudgetEvent]:
        """Make events and their deliveries durable, all or none; those that were not known before.

        With them the steps that speak for lines of rolling windows from now on; None, that no step does. Raises
        Unavailable when the disk refuses; nothing is recorded then.
        """
        rows = [(event, _event_row(event, self._clock.time_ns()), self._bodies(event)) for event in events]
        if not rows and not notified:
            return []
        new = []
        with self._database.transaction() as transaction:
            kept = {line: step for line, step in notified.items() if step is not None}
            transaction.run_each("delete_line", [_line_row(line) for line in notified if line not in kept])
            transaction.run_each("put_line", [(*_line_row(line), step) for line, step in kept.items()])
            for event, row, bodies in rows:
                if transaction.run("add_event", row):
                    self.deliveries.queue(
                        transaction, event.id, bodies, 0 if event.has_contributors else _CONTRIBUTORS_WITHIN_NS
                    )
                    new.append(event)
        return new

    def without_contributors(self, limit: int) -> list[BudgetEvent]:
        """Events that lack what only the store knows, oldest first."""
        return self._database.read(_event, "events_without_contributors", (limit,))

    def add_contributors(self, more: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to the data of events, by id, and let them go. Those that were sent by now stay as they are."""
        if not more:
            return
        with self._database.transaction() as transaction:
            for event_id, values in more.items():
                for data in transaction.read(_data, "event_to_describe", (event_id,)):
                    more_data = json.dumps(data | dict(values), default=str)
                    transaction.run("describe_event", (more_data, event_id))
                    self.deliveries.hasten(transaction, event_id)

    def readings(self) -> Iterator[Sample]:
        """For /metrics."""
        yield Sample(catalogue.WEBHOOKS_EVENTS_WITHOUT_TOP, self._sent_without_contributors)

    def note_test(self, event: BudgetEvent, endpoint: Endpoint, body: bytes, attempt: Attempt) -> None:
        """Log a test that has been sent: whatever came of it, it is not sent again."""
        with self._database.transaction() as transaction:
            transaction.run("add_event", _event_row(event, self._clock.time_ns()))
            self.deliveries.log_ended(transaction, event.id, endpoint.name, body, attempt)

    def _bodies(self, event: BudgetEvent) -> dict[str, bytes | None]:
        """None while an event is not described, and while an endpoint is not configured: its template is unknown."""
        templates = self._templates if event.has_contributors else {}
        return {name: render(event, templates[name]) if name in templates else None for name in event.webhooks}

    def _late_body(self, transaction: Transaction, event_id: str, endpoint: str) -> bytes:
        """The body of what was recorded before it was described, or its endpoint configured."""
        (event,) = transaction.read(_event, "event", (event_id,))
        if not event.has_contributors:
            transaction.run("send_undescribed", (event_id,))
            self._sent_without_contributors += 1
        return render(event, self._templates.get(endpoint, STANDARD))

    def has(self, event_id: str) -> bool:
        """Whether the event has been recorded."""
        return bool(self._database.rows("event_exists", (event_id,)))

    def notified(self) -> dict[Line, int]:
        """For each line of a rolling window the step (Unix ns) that an event was recorded for last.

        For the start: raises StartError.
        """
        with starting():
            return dict(self._database.read(_line, "lines"))

    def events(self, budget: str | None = None, limit: int = 100) -> list[BudgetEvent]:
        """The latest events, newest first, of one budget or of all."""
        if budget is None:
            return self._database.read(_event, "events", (limit,))
        return self._database.read(_event, "events_of_budget", (storable(budget), limit))

    def crossed_since(self, budget: str, period_start: int) -> set[tuple[int, int, Scope]]:
        """The periods (start and end) that began then or later and in which a line was crossed in time; the scopes."""
        return set(self._database.read(_period, "crossed_since", (storable(budget), period_start)))

    def prune(self) -> int:
        """Forget what is past its retention; the number of events forgotten."""
        before = self._clock.time_ns() - self._retention_ns
        with self._database.transaction() as transaction:
            for name in _PRUNED_FIRST:
                transaction.run(name, (before,))
            return transaction.run("prune_events", (before,))

    def close(self) -> None:
        self._database.close()


def _event_row(event: BudgetEvent, now_ns: int) -> tuple[Value, ...]:
    keep_from = max(event.period_end, now_ns)
    if not event.period_end and event.type is not EventType.TEST:
        keep_from += _MAX_PERIOD  # the end of an unknown period may be this far
    scope, data = json.dumps(event.scope), json.dumps(event.data, default=str)
    period = (event.period_start, event.period_end)
    webhooks = json.dumps(event.webhooks)
    head = (event.id, event.type.value, storable(event.budget), scope, *period, event.threshold)
    return (*head, event.created_ns, data, webhooks, keep_from, int(event.has_contributors), storable(event.project))


def _line_row(line: Line) -> tuple[str, ...]:
    return storable(line.budget), json.dumps(line.scope), line.type.value, line.threshold


def _event(row: Row) -> BudgetEvent:
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
        project=row["project"],
    )


def _line(row: Row) -> tuple[Line, int]:
    line = Line(row["budget"], tuple(json.loads(row["scope"])), EventType(row["type"]), row["threshold"])
    return line, row["step"]


def _period(row: Row) -> tuple[int, int, Scope]:
    return row["period_start"], row["period_end"], tuple(json.loads(row["scope"]))


def _data(row: Row) -> dict[str, Any]:
    return dict(json.loads(row["data"]))
