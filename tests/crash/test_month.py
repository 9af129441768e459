"""A month of spans, DST changes and ends of months in three time zones, told to a real receiver: each event exactly once.
Of calendar periods, and of rolling windows each time they cross a line anew.

Meanwhile the daemon is killed at random moments, the receiver fails in every way but 410, and spans come twice, late,
and before their run says what it was for. `SPANMETER_SEED` repeats a run's moments; `SPANMETER_KILLS` is how many.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import OVERRIDES, request
from tests.support.daemon import Daemon
from tests.support.exporters import HttpExporter
from tests.support.flaky import LIBRARY, FlakyReceiver, clock_of_library
from tests.support.month import BUDGETS, SECOND, Books, Budget, Key, Step, script
from tests.support.month_windows import LENGTHS, STEPS, WINDOWS, Line, Time, WindowBooks
from tests.support.nursery import ScriptClock, nursery
from tests.support.waiting import wait_until
from tests.support.webhooks import SECRET

KILLS = int(os.environ.get("SPANMETER_KILLS", "50"))
# UTC: the receiver is down from the first step after the one to the first after the other.
_AWAY = (("2026-10-25T00:30Z", "2026-10-25T02:00Z"), ("2026-11-06T01:00Z", "2026-11-06T14:00Z"))
_UNTIL_ALL_IS_SENT = timedelta(hours=80)
_TIMEOUT, _HOLD = 2.0, 3.0
# What is waited for comes within seconds, and within this on the busiest machine.
_PATIENCE = 300.0
_STEP_SECONDS = 300  # of which no step is nearer to the end of a period


class Killer(threading.Thread):
    """Kills the daemon and starts it again, evenly over the script's steps, at moments of its own."""

    def __init__(self, daemon: Daemon, seed: int, kills: int, steps: int) -> None:
        super().__init__(daemon=True)
        self.done = 0
        self.failure: BaseException | None = None
        self._daemon = daemon
        self._moments = random.Random(seed)
        self._kills = kills
        self._steps = steps
        self._allowed = 0
        self._changed = threading.Condition()

    def step(self, number: int) -> None:
        """Step `number` begins once the kills of those before have been."""
        with self._changed:
            self._allowed = -(-(number + 1) * self._kills // self._steps)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.done >= self._allowed - 2 or not self.is_alive(), _PATIENCE), (
                "no kill"
            )
        if self.failure:
            raise self.failure

    def run(self) -> None:
        try:
            for number in range(self._kills):
                self._wait_for_turn(number)
                self._kill(number)
                with self._changed:
                    self.done += 1
                    self._changed.notify_all()
        except BaseException as failure:
            self.failure = failure
            raise

    def _wait_for_turn(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._allowed > number, 2 * _PATIENCE), "the script does not go on"

    def _kill(self, number: int) -> None:
        if number % 5 == 4:  # before it is ready, often before it listens
            time.sleep(self._moments.uniform(0, 1))
        else:
            wait_until(self._daemon.is_ready, _PATIENCE, "readiness")
            time.sleep(self._moments.uniform(0, 0.6))
        assert self._daemon.kill() == -signal.SIGKILL, f"it had ended by itself:\n{self._daemon.log_tail()}"
        self._daemon.start()


class Month:
    """The script's way to the daemon."""

    def __init__(self, daemon: Daemon, clock: ScriptClock, receiver: FlakyReceiver) -> None:
        self.books = Books(BUDGETS)
        self.windows = WindowBooks(WINDOWS)
        self.spans_sent = 0
        self._daemon = daemon
        self._clock = clock
        self._receiver = receiver
        self._exporter = HttpExporter(0, daemon.ports["http"])
        self.close = self._exporter.close
        self._away = [tuple(datetime.fromisoformat(at).timestamp() for at in between) for between in _AWAY]

    def play(self, step: Step) -> None:
        """Send what a step has, and let time stand until all it leads to is decided."""
        if any(begin <= step.at < end for begin, end in self._away):
            self._receiver.down()
        else:
            self._receiver.up()
        began = step.at * SECOND
        self._clock.move_to(began)
        for calls in step.requests:
            self.spans_sent += len(calls)
            self._send(request(calls))
        self.settle()
        ended = self._clock.time_ns()
        assert ended - began < _STEP_SECONDS * SECOND, "the machine is too slow for the script"
        self.books.step(step, began, ended)
        self.windows.step(step, began, ended)

    def settle(self) -> None:
        """Wait until the spool is empty: a segment leaves it once what it led to is decided."""
        wait_until(self._spool_is_empty, _PATIENCE, "an empty spool")

    def _spool_is_empty(self) -> bool:
        with contextlib.suppress(OSError, HTTPException):  # it has been killed, and starts again
            return self._daemon.metric("spanmeter_spool_bytes") == 0
        return False

    def _send(self, body: bytes) -> None:
        deadline = time.monotonic() + _PATIENCE
        while answer := self._exporter.send(body):
            assert answer == "retry", answer
            assert time.monotonic() < deadline, self._daemon.log_tail()
            time.sleep(0.02)

    def assert_spend(self) -> None:
        """The sums the web port answers, of now and of the periods before, are those of the script."""
        now = self._clock.time_ns() // SECOND
        for budget in BUDGETS:
            said = self._answer(budget)
            assert said["degraded"] is None
            assert _states(budget, said["budget"]["states"]) == self._sums(budget, budget.period_at(now)), budget.name
            for past in said["budget"]["history"]:
                period = budget.period_at(int(datetime.fromisoformat(past["start"]).timestamp()))
                spent = sum(self._sums(budget, period).values())
                assert Decimal(past["spend"]) == spent, (budget.name, past)

    def assert_spend_of_windows(self) -> None:
        """The web port answers what the script has spent in each window, which may move on meanwhile."""
        for budget in WINDOWS:
            before = self._in_window(budget)
            assert _states(budget, self._answer(budget)["budget"]["states"]) in (before, self._in_window(budget))

    def _answer(self, budget: Budget) -> dict[str, Any]:
        """What the web port answers about a budget."""
        status, body = self._daemon.get(f"/api/v1/budgets/{budget.name}?limit=1000")
        assert status == 200, self._daemon.log_tail()
        answer: dict[str, Any] = json.loads(body)
        return answer

    def _in_window(self, budget: Budget) -> dict[tuple[str, ...], Decimal]:
        spent = self.windows.spend(budget, self._clock.time_ns() // SECOND)
        return {scope: Decimal(budget.amount(amount)) for scope, amount in spent.items()}

    def _sums(self, budget: Budget, period: tuple[int, int]) -> dict[tuple[str, ...], Decimal]:
        sums = {
            scope: Decimal(budget.amount(spent))
            for (name, scope, at), spent in self.books.sums.items()
            if (name, at) == (budget.name, period)
        }
        return {scope: spent for scope, spent in sums.items() if spent}


def _states(budget: Budget, states: list[dict[str, Any]]) -> dict[tuple[str, ...], Decimal]:
    sums = {tuple(state["scope"][name] for name in budget.per): Decimal(state["spend"]) for state in states}
    return {scope: spent for scope, spent in sums.items() if spent}


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptClock:
    clock = ScriptClock.starting(tmp_path / "clock", int(datetime(2026, 10, 14, 23, tzinfo=UTC).timestamp()) * SECOND)
    monkeypatch.setattr(LIBRARY, "datetime", clock_of_library(clock))
    return clock


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("SPANMETER_SEED", str(time.time_ns())))


@pytest.fixture
def receiver(seed: int) -> Iterator[FlakyReceiver]:
    receiver = FlakyReceiver(seed, _HOLD)
    receiver.up()
    yield receiver
    receiver.close()


@pytest.fixture
def daemon(tmp_path: Path, clock: ScriptClock, receiver: FlakyReceiver) -> Iterator[Daemon]:
    assert clock.time_ns()
    hook = {"url": receiver.url, "secret": SECRET, "allow_private": True, "timeout": f"{_TIMEOUT}s"}
    settings = {
        # The engine's own clock is not the script's: it must not delete what is old.
        "store": {"ttl": "0s", "retry_max_interval": "200ms"},
        "spool": {"flush_interval": "150ms"},
        "ledger": {"reconcile_interval": "5s"},
        "pricing": {"overrides": OVERRIDES},
        "webhooks": {"ops": hook},
        "budgets": [budget.settings("ops") for budget in (*BUDGETS, *WINDOWS)],
    }
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(settings))  # which is YAML
    daemon = Daemon(
        tmp_path / "data",
        config=config,
        keeps_ports=True,
        launch=lambda daemon: nursery().start(daemon.arguments(), daemon.log_file, tmp_path / "clock"),
    )
    yield daemon
    daemon.kill()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_event_of_a_month_is_told_once(
    daemon: Daemon,
    clock: ScriptClock,
    receiver: FlakyReceiver,
    seed: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = script(20_261_015)
    month = Month(daemon, clock, receiver)
    killer = Killer(daemon, seed, KILLS, len(steps))
    print(f"SPANMETER_SEED={seed}")
    daemon.start()
    killer.start()
    for number, step in enumerate(steps):
        killer.step(number)
        month.play(step)
    killer.join(_PATIENCE)
    assert killer.done == KILLS
    assert killer.failure is None
    wait_until(daemon.is_ready, _PATIENCE, "readiness")
    month.settle()
    month.assert_spend()
    month.assert_spend_of_windows()

    receiver.faulty = False
    receiver.up()
    clock.move_to(clock.time_ns() + int(_UNTIL_ALL_IS_SENT.total_seconds()) * SECOND)
    expected = set(month.books.expected) | set(month.books.resets(clock.time_ns()))
    wait_until(lambda: expected <= set(_by_key(receiver)[0]) and _waiting(daemon) == 0, _PATIENCE, "the last delivery")
    assert daemon.stop() == 0, daemon.log_tail()
    month.close()

    taken, of_windows = _by_key(receiver)
    with capsys.disabled():
        bodies = list(map(json.loads, receiver.taken.values()))
        kinds = Counter(body["type"] for body in bodies)
        without = sum(body["data"].get("top", ()) is None for body in bodies)
        print(
            f"\n{KILLS} SIGKILLs (seed {seed}), {len(steps)} steps, {len(month.books.spans)} spans sent as "
            f"{month.spans_sent}; receiver answered {dict(receiver.outcomes)}, {receiver.repeats} repeats of "
            f"{len(receiver.taken)} events: {dict(kinds)}; of windows {sum(map(len, of_windows.values()))}, "
            f"without top {without}"
        )
    assert receiver.mistakes == []
    assert len(taken) + sum(map(len, of_windows.values())) == len(receiver.taken), "two ids for one event"
    _assert_forecasts(month.books, taken)
    told = {key: body for key, body in taken.items() if key.kind != "budget.forecast"}
    assert expected - set(told) == set(), "missing"
    assert set(told) - expected == set(), "too many"
    _assert_facts(month.books, told, clock.time_ns())
    _assert_windows(month.windows, of_windows)
    assert "was not what the store says" not in daemon.log()


def _by_key(
    receiver: FlakyReceiver,
) -> tuple[dict[Key, dict[str, Any]], dict[Line, list[dict[str, Any]]]]:
    """What was told, by what it is about; and of windows by their lines."""
    periods: dict[Key, dict[str, Any]] = {}
    windows: defaultdict[Line, list[dict[str, Any]]] = defaultdict(list)
    names = {budget.name for budget in WINDOWS}
    for body in map(json.loads, list(receiver.taken.values())):
        data = body["data"]
        if data["budget"] in names:
            line = Line(body["type"], data["budget"], tuple(data["scope"].values()), data.get("fraction", ""))
            windows[line].append(body)
        else:
            periods[_key(body)] = body
    return periods, windows


def _key(body: dict[str, Any]) -> Key:
    data = body["data"]
    start = int(datetime.fromisoformat(data["period"]["start"]).timestamp())
    return Key(body["type"], data["budget"], tuple(data["scope"].values()), start, data.get("fraction", ""))


def _waiting(daemon: Daemon) -> int:
    """Deliveries that have not succeeded."""
    database = sqlite3.connect(f"file:{daemon.directory / 'webhooks.db'}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT count(*) FROM deliveries WHERE state != 'delivered'").fetchone()[0])
    finally:
        database.close()


def _decided_at(body: dict[str, Any]) -> int:
    """Unix ns, to the microsecond."""
    at = datetime.fromisoformat(body["timestamp"]) - datetime(1970, 1, 1, tzinfo=UTC)
    return at // timedelta(microseconds=1) * 1000


def _assert_forecasts(books: Books, taken: dict[Key, dict[str, Any]]) -> None:
    told = {key: body for key, body in taken.items() if key.kind == "budget.forecast"}
    assert books.sure_forecasts - set(told) == set(), "missing"
    assert set(told) - books.possible_forecasts == set(), "without reason"
    for key, body in told.items():
        breach = taken.get(key._replace(kind="budget.breached", fraction="1"))
        assert breach is None or _decided_at(body) < _decided_at(breach), key


def _assert_facts(books: Books, told: dict[Key, dict[str, Any]], until: int) -> None:
    """What events say: when they were decided, whether late, the zone's own times, and which period has ended."""
    budgets = {budget.name: budget for budget in BUDGETS}
    resets = books.resets(until)
    for key, body in told.items():
        data, budget = body["data"], budgets[key.budget]
        start, end = budget.period_at(key.start)
        period = [datetime.fromisoformat(data["period"][name]) for name in ("start", "end")]
        assert [int(at.timestamp()) for at in period] == [start, end], key
        assert data["period"]["timezone"] == budget.zone
        if key in resets:
            assert _decided_at(body) >= key.start * SECOND, key
            assert int(datetime.fromisoformat(data["ended"]["start"]).timestamp()) == resets[key], key
            continue
        expected = books.expected[key]
        assert expected.earliest - 1000 <= _decided_at(body) <= expected.latest, key
        assert data["late"] is expected.late, key
        if key.fraction:
            limit = Decimal(budget.amount(budget.limit_of(key.scope)))
            assert Decimal(data["limit"]) == limit
            assert Decimal(data["spend"]) >= limit * Decimal(key.fraction), key


def _assert_windows(books: WindowBooks, told: dict[Line, list[dict[str, Any]]]) -> None:
    """Each time over a line is told of once, by the step in which it began as far as was known."""
    assert {line: len(bodies) for line, bodies in told.items()} == {
        line: len(times) for line, times in books.expected.items()
    }
    for line, times in books.expected.items():
        bodies = sorted(told[line], key=_over_since)
        for time_over, body in zip(sorted(times, key=lambda one: one.start), bodies, strict=True):
            _assert_window(line, time_over, body)


def _over_since(body: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(body["data"]["over_since"]).timestamp())


def _assert_window(line: Line, over: Time, body: dict[str, Any]) -> None:
    data, since = body["data"], _over_since(body)
    assert over.start <= since < over.end, line
    assert over.earliest - 1000 <= _decided_at(body) <= over.latest, line
    assert data["late"] is (over.end * SECOND <= over.earliest), line
    start, end = (int(datetime.fromisoformat(data["period"][name]).timestamp()) for name in ("start", "end"))
    (budget,) = (budget for budget in WINDOWS if budget.name == line.budget)
    length, step = LENGTHS[budget.period], STEPS[budget.period]
    assert end - start == length
    assert (end - step == since) if data["late"] else (0 <= end * SECOND - _decided_at(body) <= step * SECOND), line
    if line.fraction:
        limit = Decimal(budget.amount(budget.limit_of(line.scope)))
        assert Decimal(data["spend"]) >= limit * Decimal(line.fraction), line
