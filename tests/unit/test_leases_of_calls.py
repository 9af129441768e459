"""Leases of single calls: what they cost is held until it is counted, and what is never heard of for the whole period."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.budgets.decisions import Estimate
from collector.errors import Unavailable
from collector.model.leases import OF_CALL, Lease, LeaseState
from collector.model.money import PICODOLLARS_PER_USD
from collector.spending.enforcement import Run
from tests.support.budgets import Desk

CENT = PICODOLLARS_PER_USD // 100
CAP = {
    "name": "evaluator/e",
    "limit_usd": 1,
    "period": "week",
    "hard": True,
    "match": {"purpose": "judge", "attribute.spanmeter.evaluator": "e"},
}
STATED = {"purpose": "judge", "attribute.spanmeter.evaluator": "e"}
DAY = 86_400


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    opened = Desk(tmp_path, CAP)
    yield opened
    opened.close()


def hold(desk: Desk, cents: int, calls: tuple[str, int] | None = None, **stated: str) -> Lease | None:
    run = Run("default", {**STATED, **stated}, Estimate(cents * CENT, 100))
    return asyncio.run(desk.enforcement.hold(run, calls))


def held(desk: Desk) -> int:
    """Cents that are set aside."""
    rule = desk.enforcement.rules.by_name("evaluator/e")
    return desk.enforcement.state(rule, (), desk.clock.time_ns()).reserved // CENT


def spent(desk: Desk, lease: Lease, cents: int) -> None:
    asyncio.run(desk.enforcement.spent("default", lease.id, Estimate(cents * CENT, 10)))


def counted(desk: Desk, lease: Lease, cents: int) -> None:
    """Spans of the call are counted, and its root has arrived."""
    desk.enforcement.settle_leases([(lease.id, cents * CENT, 10, True)])


def test_no_more_is_set_aside_than_there_is(desk: Desk) -> None:
    leases = [hold(desk, 30) for _ in range(4)]
    assert [lease is not None for lease in leases] == [True, True, True, False]
    assert held(desk) == 90
    assert hold(desk, 10)
    assert hold(desk, 0) is None, "what is used up has no room for nothing either"


def test_what_a_call_cost_is_held_until_it_is_counted(desk: Desk) -> None:
    lease = hold(desk, 60)
    assert lease
    spent(desk, lease, 5)
    desk.clock.advance(DAY)
    assert held(desk) == 5, "however long that takes"
    counted(desk, lease, 5)
    assert held(desk) == 0
    assert asyncio.run(desk.enforcement.find("default", lease.id)).state is LeaseState.FINISHED


@pytest.mark.parametrize("restarts", [False, True])
def test_a_call_of_which_nothing_is_heard_counts_for_the_period(desk: Desk, restarts: bool) -> None:
    assert hold(desk, 60)
    if restarts:
        desk.reopen()
    assert held(desk) == 60
    desk.clock.advance(7 * DAY)
    assert held(desk) == 0


def test_a_call_without_usage_stays_at_its_worst_case(desk: Desk) -> None:
    """Its span is counted, with no cost: nobody knows what it was."""
    lease = hold(desk, 60)
    assert lease
    counted(desk, lease, 0)
    desk.clock.advance(DAY)
    assert held(desk) == 60


def test_a_call_that_was_not_made_gives_all_back(desk: Desk) -> None:
    lease = hold(desk, 60)
    assert lease
    asyncio.run(desk.enforcement.release("default", lease.id))
    assert held(desk) == 0


def test_calls_are_counted_too(desk: Desk) -> None:
    calls = ("evaluator/e", 2)
    first, second = hold(desk, 1, calls), hold(desk, 1, calls)
    assert first
    assert second
    assert hold(desk, 1, calls) is None
    asyncio.run(desk.enforcement.release("default", second.id))
    third = hold(desk, 1, calls)
    assert third
    spent(desk, first, 1)
    counted(desk, first, 1)
    assert hold(desk, 1, calls), "the ledger, which counts it now, is another's here"
    desk.spend("0.01", purpose="judge", attributes=("e",))
    assert hold(desk, 1, calls) is None


def test_no_lease_is_granted_while_the_ledger_is_built(desk: Desk) -> None:
    desk.ledger.ready = False
    with pytest.raises(Unavailable):
        hold(desk, 1)


def test_where_nothing_limits_nothing_is_held(desk: Desk) -> None:
    another: dict[str, Any] = {"attribute.spanmeter.evaluator": "another"}
    lease = hold(desk, 1000, **another)
    assert lease is not None
    assert lease.id == ""
    assert held(desk) == 0


def test_leases_of_calls_are_told_by_their_ids(desk: Desk) -> None:
    lease: Any = hold(desk, 1)
    assert lease.id.startswith(OF_CALL)
    assert lease.of_call
