"""Copies of the outbox in the store: the tables take them, and a copy made twice is one row."""

import time
from pathlib import Path
from typing import Any

from collector.store import Store
from collector.webhooks.deliveries import Attempt
from collector.webhooks.outbox import Outbox
from tests.support.clock import FakeClock
from tests.support.webhooks import Receiver, an_event


def test_the_store_takes_copies_and_keeps_each_once(tmp_path: Path, store: Store) -> None:
    clock = FakeClock(time.time_ns())
    outbox = Outbox(tmp_path / "webhooks.db", clock)
    outbox.configure({"ops": Receiver(1).endpoint()})
    now = clock.now_ns
    events = [
        an_event(number, created_ns=now + number, period_start=now, scope=("checkout", "ü"), data={"spend": "0.1"})
        for number in range(3)
    ]
    outbox.record(events)
    for delivery in outbox.deliveries.claim("ops", 2, 45):
        outbox.deliveries.failed(delivery, Attempt(now, 12_000_000, "failed", 503, "It answered 503.", "busy"), now)
    for round_ in range(2):  # the second with other tokens, as another replica or a pruned window would
        copies = outbox.copier.copies()
        assert copies.events is not None
        assert copies.deliveries is not None
        store.insert("budget_events", [copies.events], f"{copies.events_token}{round_}")
        store.insert("webhook_deliveries", [copies.deliveries], f"{copies.deliveries_token}{round_}")
    outbox.copier.copied(copies.marks)
    assert not outbox.copier.copies()
    outbox.close()

    rows = _rows(store, "SELECT *, toUnixTimestamp64Nano(CreatedAt) AS At FROM budget_events FINAL ORDER BY CreatedAt")
    assert [row["Id"] for row in rows] == [event.id for event in events]
    assert [row["At"] for row in rows] == [event.created_ns for event in events]
    assert rows[0]["Scope"] == ["checkout", "ü"]
    assert (rows[0]["Type"], rows[0]["Budget"]) == ("budget.threshold_reached", "support-month")
    assert (rows[0]["Threshold"], rows[0]["Data"], rows[0]["Webhooks"]) == ("0.8", '{"spend": "0.1"}', ["ops"])
    attempts = _rows(store, "SELECT * EXCEPT At FROM webhook_deliveries FINAL ORDER BY EventId")
    assert {row.pop("EventId") for row in attempts} == {events[0].id, events[1].id}
    assert (
        attempts
        == [
            {
                "Endpoint": "ops",
                "Attempt": 1,
                "Duration": 12_000_000,
                "Outcome": "failed",
                "Status": 503,
                "Error": "It answered 503.",
                "Response": "busy",
            }
        ]
        * 2
    )


def _rows(store: Store, statement: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(statement, {}).to_pylist()
    return rows
