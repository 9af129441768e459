"""The outbox as a record of what fired, and as a queue that several may read."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.errors import StartError, Unavailable
from collector.model.budgets import BudgetEvent, EventType, Line
from collector.webhooks.deliveries import Attempt
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.outbox import Outbox
from tests.support.clock import FakeClock
from tests.support.webhooks import OPS, an_event

DAY = 86_400
TEAM = Endpoint("team", "https://team.example.com/", (), template="slack")
ENDPOINTS = {"ops": OPS, "team": TEAM}
FAILED = Attempt(1, 2, "failed", 500, "It answered 500.", "no")
GONE = Attempt(1, 2, "gone", 410, "It answered 410 Gone.", "")
DELIVERED = Attempt(1, 2, "delivered", 204)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: FakeClock) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "webhooks.db", clock)
    opened.configure(ENDPOINTS)
    yield opened
    opened.close()


def test_an_event_is_recorded_once_and_read_back_as_it_was(outbox: Outbox) -> None:
    event = an_event(webhooks=("ops", "team"), data={"spend": "1.5", "scope": {"feature": "ü"}, "late": True})
    assert not outbox.has(event.id)
    assert outbox.record([event, event]) == [event]
    assert outbox.record([event]) == []
    assert outbox.has(event.id)
    assert outbox.events() == outbox.events("support-month") == [event]
    assert outbox.events("another") == []
    assert outbox.overview.statistics().pending == 2


def test_all_events_are_recorded_or_none(outbox: Outbox, tmp_path: Path) -> None:
    broken = an_event(2, webhooks=("ops",), period_start=2**80)  # no SQLite integer
    with pytest.raises(OverflowError):
        outbox.record([an_event(1), broken])
    assert outbox.events() == []
    assert outbox.record([an_event(1)])


def test_what_was_crossed_in_time_is_found_by_period(outbox: Outbox) -> None:
    events = [replace(an_event(start), period_end=start + 10, scope=("a",)) for start in (10, 20, 30)]
    outbox.record([replace(event, created_ns=event.period_start + 5) for event in events[:2]])
    outbox.record([replace(events[2], created_ns=40)])  # late
    outbox.record([replace(an_event(50, budget="another"), created_ns=0)])
    assert outbox.crossed_since("support-month", 0) == {(10, 20, ("a",)), (20, 30, ("a",))}
    assert outbox.crossed_since("support-month", 20) == {(20, 30, ("a",))}
    assert len(outbox.events(limit=2)) == 2


def test_lines_of_windows_are_remembered_with_their_events(tmp_path: Path, clock: FakeClock) -> None:
    line, other = Line("b", ("x", "é"), EventType.BREACHED, "1 of 5"), Line("b", ("x", "é"), EventType.UNPRICED, "")
    outbox = Outbox(tmp_path / "webhooks.db", clock)
    outbox.record([an_event()], {line: 60, other: 120})
    outbox.close()
    outbox = Outbox(tmp_path / "webhooks.db", clock)
    assert outbox.notified() == {line: 60, other: 120}
    outbox.record([], {line: 180, other: None})
    assert outbox.notified() == {line: 180}
    outbox.close()


def test_a_reopened_outbox_remembers(tmp_path: Path, clock: FakeClock) -> None:
    for expected in ([an_event()], []):
        outbox = Outbox(tmp_path / "webhooks.db", clock)
        assert outbox.record([an_event()]) == expected
        outbox.close()
    assert (tmp_path / "webhooks.db").stat().st_mode & 0o777 == 0o600


def test_a_claimed_delivery_is_no_ones_until_its_claim_runs_out(outbox: Outbox, clock: FakeClock) -> None:
    outbox.record([an_event(number) for number in range(3)])
    queue = outbox.deliveries
    first = queue.claim("ops", 2, lease=45)
    assert [delivery.event_id for delivery in first] == [an_event(0).id, an_event(1).id]
    assert len(queue.claim("ops", 9, lease=45)) == 1
    assert queue.claim("ops", 9, lease=45) == queue.claim("team", 9, lease=45) == []
    assert queue.next_due(["ops", "team"]) is None
    queue.succeeded(first[0], DELIVERED)
    clock.advance(45)
    assert queue.next_due(["ops", "team"]) == clock.now_ns - 45 * 10**9
    again = queue.claim("ops", 9, lease=45)
    assert [delivery.event_id for delivery in again] == [an_event(1).id, an_event(2).id]
    assert again[0].body == first[1].body
    queue.release()
    assert len(queue.claim("ops", 9, lease=45)) == 2


def test_a_failed_delivery_is_due_when_it_was_said(outbox: Outbox, clock: FakeClock) -> None:
    outbox.record([an_event()])
    queue = outbox.deliveries
    (delivery,) = queue.claim("ops", 1, 45)
    queue.failed(delivery, FAILED, clock.now_ns + 5 * 10**9)
    assert queue.claim("ops", 1, 45) == []
    clock.advance(5)
    (delivery,) = queue.claim("ops", 1, 45)
    assert (delivery.attempt, delivery.tries) == (2, 1)
    queue.failed(delivery, FAILED, None)
    clock.advance(10 * DAY)
    assert queue.claim("ops", 1, 45) == []
    assert outbox.overview.statistics().failed == 1
    (shown,) = outbox.overview.latest(10)
    assert (shown.state, shown.attempts, shown.status, shown.error) == ("failed", 2, 500, "It answered 500.")


@pytest.mark.parametrize("set_back", [3600, -3600])
def test_an_attempt_is_due_after_its_delay_whatever_the_wall_clock_says(
    outbox: Outbox, clock: FakeClock, set_back: float
) -> None:
    outbox.record([an_event()])
    queue = outbox.deliveries
    (delivery,) = queue.claim("ops", 1, 45)
    queue.failed(delivery, FAILED, queue.steady.time_ns() + 300 * 10**9)
    clock.set_back(set_back)
    clock.advance(299)
    assert queue.claim("ops", 1, 45) == []
    clock.advance(1)
    (delivery,) = queue.claim("ops", 1, 45)
    clock.set_back(set_back)
    clock.advance(44)
    assert queue.claim("ops", 1, 45) == []
    clock.advance(1)
    assert queue.claim("ops", 1, 45) == [delivery]


def test_a_process_that_starts_puts_nothing_off_for_longer_than_the_schedule(
    tmp_path: Path, outbox: Outbox, clock: FakeClock
) -> None:
    """Here the clock of the process before was years ahead."""
    outbox.record([an_event()])
    (delivery,) = outbox.deliveries.claim("ops", 1, 45)
    outbox.deliveries.failed(delivery, FAILED, outbox.deliveries.steady.time_ns())
    outbox.close()
    clock.set_back(1000 * DAY)
    with contextlib.closing(Outbox(tmp_path / "webhooks.db", clock)) as later:
        later.deliveries.release()
        assert later.deliveries.claim("ops", 1, 45) == []
        clock.advance(1.2 * DAY)
        assert len(later.deliveries.claim("ops", 1, 45)) == 1


def test_gone_disables_until_the_endpoint_is_another(outbox: Outbox, clock: FakeClock) -> None:
    outbox.record([an_event(number, webhooks=("ops", "team")) for number in range(2)])
    queue = outbox.deliveries
    queue.gone(queue.claim("ops", 1, 45)[0], GONE, OPS.fingerprint)
    assert outbox.endpoints.disabled() == {"ops": (clock.now_ns, "It answered 410 Gone.")}
    outbox.record([an_event(3)])
    outbox.configure(ENDPOINTS)  # a restart or a reload changes nothing
    clock.advance(DAY)
    assert queue.claim("ops", 9, 45) == []
    assert len(queue.claim("team", 9, 45)) == 2
    assert outbox.overview.statistics().held == 3
    outbox.configure(ENDPOINTS | {"ops": Endpoint("ops", "https://hooks.example.com/new", ())})
    assert outbox.endpoints.disabled() == {}
    assert len(queue.claim("ops", 9, 45)) == 3


def test_gone_said_by_what_the_endpoint_was_does_not_disable_what_it_is(outbox: Outbox) -> None:
    outbox.record([an_event()])
    (delivery,) = outbox.deliveries.claim("ops", 1, 45)
    outbox.configure(ENDPOINTS | {"ops": Endpoint("ops", "https://hooks.example.com/new", ())})
    outbox.deliveries.gone(delivery, GONE, OPS.fingerprint)
    assert outbox.endpoints.disabled() == {}
    assert outbox.deliveries.claim("ops", 1, 45)[0].attempt == 2


def test_a_rotated_secret_does_not_enable(outbox: Outbox) -> None:
    outbox.record([an_event()])
    outbox.deliveries.gone(outbox.deliveries.claim("ops", 1, 45)[0], GONE, OPS.fingerprint)
    outbox.configure(ENDPOINTS | {"ops": Endpoint("ops", OPS.url, ("another secret",))})
    assert "ops" in outbox.endpoints.disabled()


def test_deliveries_of_an_endpoint_that_is_no_longer_configured_wait_for_it(outbox: Outbox) -> None:
    outbox.record([an_event(1)])
    outbox.configure({"team": TEAM})
    outbox.record([an_event(2)])
    assert (outbox.overview.statistics().pending, outbox.overview.statistics().held) == (0, 2)
    outbox.configure(ENDPOINTS)
    assert len(outbox.deliveries.claim("ops", 9, 45)) == 2


def test_what_is_recorded_before_its_endpoint_is_configured_has_the_endpoints_template(
    tmp_path: Path, clock: FakeClock
) -> None:
    early = Outbox(tmp_path / "early.db", clock)
    early.record([an_event(webhooks=("team", "ops"))])
    assert early.deliveries.claim("team", 1, 45) == []
    early.configure(ENDPOINTS)
    (slack,) = early.deliveries.claim("team", 1, 45)
    assert set(json.loads(slack.body)) == {"text", "blocks"}
    early.configure(ENDPOINTS | {"team": Endpoint("team", TEAM.url, (), template="json")})
    early.deliveries.release()
    assert early.deliveries.claim("team", 1, 45)[0].body == slack.body
    (standard,) = early.deliveries.claim("ops", 1, 45)
    assert set(json.loads(standard.body)) == {"type", "timestamp", "data"}
    early.close()


def test_replay_queues_again_with_the_same_id_and_bytes(outbox: Outbox, clock: FakeClock) -> None:
    outbox.record([an_event(number) for number in range(3)])
    queue = outbox.deliveries
    sent = queue.claim("ops", 3, 45)
    queue.succeeded(sent[0], DELIVERED)
    queue.failed(sent[1], FAILED, None)
    queue.gone(sent[2], GONE, OPS.fingerprint)
    assert queue.replay(failed=True, endpoint="team") == 0
    assert queue.replay(failed=True) == 2
    assert outbox.endpoints.disabled() == {}
    again = queue.claim("ops", 9, 45)
    assert [(one.event_id, one.body, one.attempt, one.tries) for one in again] == [
        (one.event_id, one.body, 2, 0) for one in sent[1:]
    ]
    assert queue.replay([sent[0].event_id]) == 1
    assert queue.replay(since=an_event(1).created_ns) == 2
    assert queue.replay(since=an_event(3).created_ns) == 0


def test_enable(outbox: Outbox) -> None:
    outbox.record([an_event()])
    outbox.deliveries.gone(outbox.deliveries.claim("ops", 1, 45)[0], GONE, OPS.fingerprint)
    outbox.endpoints.enable("ops")
    assert len(outbox.deliveries.claim("ops", 1, 45)) == 1


def test_what_is_past_its_retention_is_forgotten_and_nothing_else(outbox: Outbox, clock: FakeClock) -> None:
    now = clock.now_ns
    current = an_event(1, period_end=now + 300 * DAY * 10**9)
    ended = an_event(2, period_end=now + DAY * 10**9)
    unknown = an_event(3, period_start=0, period_end=0)
    test = an_event(4, type=EventType.TEST, period_start=0, period_end=0)
    outbox.record([current, ended, unknown, test])
    for delivery in outbox.deliveries.claim("ops", 9, 45)[:3]:
        outbox.deliveries.succeeded(delivery, DELIVERED)
    clock.advance(40 * DAY - 1)
    assert outbox.prune() == 0
    assert len(outbox.overview.latest(9)) == 4
    clock.advance(2)
    assert outbox.prune() == 1
    assert not outbox.has(test.id)
    assert outbox.overview.latest(9) == []  # ended deliveries go first; the pending one went with its event
    clock.advance(DAY)
    outbox.prune()
    assert [outbox.has(event.id) for event in (current, ended, unknown)] == [True, False, True]
    assert outbox.record([current]) == []
    clock.advance(400 * DAY)
    outbox.prune()
    assert outbox.events() == []
    assert _count(outbox, "attempts") == _count(outbox, "deliveries") == 0


def test_a_pending_delivery_of_a_current_event_is_not_pruned(outbox: Outbox, clock: FakeClock) -> None:
    outbox.record([an_event(1, period_end=clock.now_ns + 300 * DAY * 10**9)])
    clock.advance(200 * DAY)
    outbox.prune()
    assert len(outbox.deliveries.claim("ops", 1, 45)) == 1


def _count(outbox: Outbox, table: str) -> int:
    return int(outbox._database._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_copies_are_handed_out_until_they_are_marked(outbox: Outbox) -> None:
    events = [an_event(number, scope=("a", "ü\ud800")) for number in range(3)]
    outbox.record(events)
    for delivery in outbox.deliveries.claim("ops", 2, 45):
        outbox.deliveries.failed(delivery, FAILED, None)
    first = outbox.copier.copies(limit=2)
    assert outbox.copier.copies(limit=2) == first  # with the same tokens, so that inserting again inserts nothing
    assert first.events is not None
    assert first.deliveries is not None
    assert first.events.column("Id").to_pylist() == [event.id for event in events[:2]]
    assert first.events.column("Scope").to_pylist()[0] == ["a", "ü\\ud800"]
    assert first.events.column("PeriodStart").cast("int64").to_pylist() == [0, 1]
    assert first.deliveries.column("Status").to_pylist() == [500, 500]
    outbox.copier.copied(first.marks)
    rest = outbox.copier.copies()
    assert rest.events is not None
    assert rest.events.column("Id").to_pylist() == [events[2].id]
    assert rest.deliveries is None
    outbox.copier.copied(rest.marks)
    assert not outbox.copier.copies()


def test_statistics(outbox: Outbox, clock: FakeClock) -> None:
    assert outbox.overview.statistics().oldest == 0
    outbox.record([an_event(1)])
    queued = clock.now_ns
    clock.advance(60)
    outbox.record([an_event(2)])
    assert outbox.overview.statistics().oldest == queued


def test_a_newer_outbox_and_a_damaged_one_stop_the_start_with_a_sentence(tmp_path: Path, clock: FakeClock) -> None:
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartError, match="of a newer version of spanmeter"):
        Outbox(newer, clock)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StartError, match="Cannot use the webhook outbox"):
        Outbox(damaged, clock)
    with pytest.raises(StartError, match="Cannot open the webhook outbox"):
        Outbox(tmp_path, clock)


def test_a_full_disk_is_said_and_loses_nothing(outbox: Outbox) -> None:
    outbox.record([an_event(1)])
    pages = outbox._database._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match=r"webhooks.db cannot be used: database or disk is full"):
        outbox.record([an_event(2), an_event(3, data={"message": "x" * 100_000})])
    assert not outbox.has(an_event(2).id)
    outbox._database._connection.execute("PRAGMA max_page_count = 1000000")
    assert len(outbox.record([an_event(2)])) == 1


def test_threads_take_turns(outbox: Outbox) -> None:
    """Each event is recorded by two threads while two others claim: each is new once, and claimed once."""
    new: list[BudgetEvent] = []
    claimed: list[str] = []
    failures: list[BaseException] = []

    def run(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    def record() -> None:
        for number in range(40):
            new.extend(outbox.record([an_event(number)]))

    def claim() -> None:
        while len(claimed) < 40 and not failures:
            claimed.extend(delivery.event_id for delivery in outbox.deliveries.claim("ops", 3, 3600))

    threads = [threading.Thread(target=run, args=(work,)) for work in (record, record, claim, claim)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert sorted(event.period_start for event in new) == list(range(40))
    assert len(claimed) == len(set(claimed)) == 40


_CLAIMER = """
import sys
from pathlib import Path
from collector.webhooks.deliveries import Attempt
from collector.webhooks.outbox import Outbox
from tests.support.clock import FakeClock

outbox = Outbox(Path(sys.argv[1]), FakeClock())
while found := outbox.deliveries.claim("ops", 3, 3600):
    for delivery in found:
        outbox.deliveries.succeeded(delivery, Attempt(1, 2, "delivered", 200))
        print(delivery.event_id, flush=True)
"""


def test_two_processes_on_one_outbox_send_each_delivery_once(outbox: Outbox, tmp_path: Path) -> None:
    outbox.record([an_event(number) for number in range(200)])
    command = [sys.executable, "-c", _CLAIMER, str(tmp_path / "webhooks.db")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=100)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    sent = outputs[0] + outputs[1]
    assert sorted(sent) == sorted(an_event(number).id for number in range(200))
    assert _count(outbox, "attempts") == 200


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(budget=st.text(), scope=st.lists(st.text()).map(tuple), text=st.text())
def test_names_of_any_kind(outbox: Outbox, budget: str, scope: tuple[str, ...], text: str) -> None:
    event = an_event(budget=budget, scope=scope, data={text: text}, id=f"evt_{json.dumps([budget, scope, text])}")
    outbox.record([event])
    assert outbox.has(event.id)
    (read,) = [one for one in outbox.events(budget) if one.id == event.id]
    assert (read.scope, read.data) == (scope, {text: text})
