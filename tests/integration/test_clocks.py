"""Budgets where clocks are wrong: those of senders, and the daemon's own."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.budgets.decisions import Estimate, Refusal
from collector.config import EnforcementConfig
from collector.model.leases import LeaseState
from collector.model.money import picodollars
from collector.model.principal import ANONYMOUS
from collector.query.service import Dimension, Query
from collector.spending.enforcement import Enforcement, Granted, Run
from collector.spending.lease_store import LeaseStore
from collector.store import Store
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
DEAR = 2_000_000  # tokens that use up every one of the budgets
BUDGETS = {
    period: {"name": period, "limit_usd": 1, "period": period, "hard": True} for period in ("hour", "day", "24h")
}
RUN = Run("default", {}, Estimate(picodollars("0.1")))


class Desk:
    """What counts, and what decides by it."""

    def __init__(self, store: Store, directory: Path, period: str) -> None:
        self.bench = Bench(store, rules_of(BUDGETS[period]), RIGHT)
        self.leases = LeaseStore(directory / "leases.db")

    def enforcement(self) -> Enforcement:
        """As a process that starts has it."""
        bench, config = self.bench, EnforcementConfig()
        return Enforcement(bench.rules, bench.ledger, self.leases, config, bench.clock, lambda: None)

    def check(self) -> bool:
        decision = self.enforcement().check(RUN)
        assert decision.allowed or decision.reason is Refusal.OVER_LIMIT
        return decision.allowed


@pytest.fixture(params=BUDGETS)
def desk(store: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    desk = Desk(store, tmp_path, request.param)
    yield desk
    desk.leases.close()


@pytest.mark.parametrize("ahead", [2 * HOUR, 25 * HOUR, 6 * DAY])
def test_calls_dated_ahead_count_now_and_keep_their_time(store: Store, desk: Desk, ahead: int) -> None:
    """Also after a restart and a comparison with the store, and until their time is over."""
    bench = desk.bench
    bench.deliver([Call(1, 1, NOW + ahead, DEAR)])
    assert not desk.check()
    bench.assert_equal()
    bench.restart()
    assert not desk.check()
    assert list(bench.spending.reconcile()) == []
    bench.clock.advance(ahead / 1e9)
    bench.spending.start(store)
    list(bench.spending.reconcile())
    assert not desk.check(), "its time has come"
    bench.clock.advance(2 * DAY / 1e9)
    assert desk.check()
    (row,) = Query(lambda: store).spend(ANONYMOUS, Dimension.DAY, 0, 2 * NOW).to_pylist()
    assert row["Value"] == str(datetime.fromtimestamp((NOW + ahead) // 10**9, UTC).date())


@pytest.mark.parametrize("restarts", [True, False])
def test_a_clock_set_back_does_not_reopen_a_cap(desk: Desk, restarts: bool) -> None:
    bench = desk.bench
    bench.deliver([Call(1, 1, NOW, DEAR)])
    assert not desk.check()
    bench.clock.set_back(25 * 3600)
    if restarts:
        bench.restart()
    assert not desk.check()
    bench.deliver([Call(2, 1, bench.clock.now_ns, 10)])
    assert not desk.check()


def test_a_clock_years_ahead_is_not_counted(desk: Desk) -> None:
    desk.bench.deliver([Call(1, 1, NOW + 400 * DAY, DEAR)])
    assert desk.check()


@pytest.mark.parametrize("set_back", [3600, -3600, 400 * 86_400])
def test_a_lease_lasts_as_long_as_it_was_given_for_whatever_the_wall_clock_says(desk: Desk, set_back: float) -> None:
    clock = desk.bench.clock
    enforcement = desk.enforcement()
    whole = Run("default", {}, Estimate(picodollars("1")))
    answer = asyncio.run(enforcement.lease(whole, 60))
    assert isinstance(answer, Granted)
    clock.set_back(set_back)
    clock.advance(59)
    assert enforcement.open_leases() == {answer.lease.id: "default"}
    assert not enforcement.check(RUN).allowed
    clock.advance(2)
    assert enforcement.open_leases() == {}
    assert enforcement.check(RUN).allowed


def test_after_a_restart_a_lease_is_held_for_its_time_once_more_at_most(desk: Desk) -> None:
    """The wall clock is all that an earlier process leaves to go by."""
    clock = desk.bench.clock
    answer = asyncio.run(desk.enforcement().lease(RUN, 60))
    assert isinstance(answer, Granted)
    clock.set_back(3600)
    enforcement = desk.enforcement()
    clock.advance(59)
    assert enforcement.open_leases() == {answer.lease.id: "default"}
    clock.advance(2)
    assert enforcement.open_leases() == {}


def test_a_lease_that_has_expired_stays_so_when_the_clock_is_set_back_before_a_restart(desk: Desk) -> None:
    clock = desk.bench.clock
    enforcement = desk.enforcement()
    answer = asyncio.run(enforcement.lease(RUN, 60))
    assert isinstance(answer, Granted)
    clock.advance(61)
    assert enforcement.open_leases() == {}
    desk.leases.put([]).result()  # what was written before is durable
    clock.set_back(3600)
    again = desk.enforcement()
    assert again.open_leases() == {}
    assert asyncio.run(again.find("default", answer.lease.id)).state is LeaseState.EXPIRED
