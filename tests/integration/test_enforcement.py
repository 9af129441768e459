"""Decisions and leases over the real ledger and the real lease file."""

import asyncio
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.budgets.decisions import Decision, Estimate, Refusal
from collector.config import EnforcementConfig
from collector.errors import Reason, Rejected, Unavailable
from collector.model.leases import Lease, LeaseState
from collector.model.money import picodollars
from collector.spending.enforcement import Granted, Run
from tests.support.budgets import MONTH, Desk, rules

DAY = {"name": "day", "limit_usd": 1, "period": "day", "hard": True}
WINDOW = {"name": "window", "limit_usd": 1, "period": "24h", "hard": True}
TOKENS = {"name": "tokens", "limit_tokens": 1000, "period": "month", "hard": True}

Open = Callable[..., Desk]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    desks: list[Desk] = []

    def open_desk(*budgets: dict[str, Any], fail: str = "open") -> Desk:
        desks.append(Desk(tmp_path, *budgets, fail=fail))
        return desks[-1]

    yield open_desk
    for desk in desks:
        desk.close()


def run(usd: str | None = None, tokens: int | None = None, project: str = "default", **stated: str) -> Run:
    return Run(project, stated, Estimate(None if usd is None else picodollars(usd), tokens))


def take(desk: Desk, wanted: Run, ttl: float | None = None) -> Granted | Decision:
    return asyncio.run(desk.enforcement.lease(wanted, ttl))


def granted(desk: Desk, wanted: Run, ttl: float | None = None) -> str:
    answer = take(desk, wanted, ttl)
    assert isinstance(answer, Granted), answer.message
    return answer.lease.id


def test_only_hard_budgets_refuse(opened: Open) -> None:
    desk = opened({**MONTH, "hard": False}, DAY)
    desk.spend("0.5")
    decision = desk.enforcement.check(run("0.5"))
    assert decision.allowed
    assert decision.budget
    assert decision.budget.rule.name == "day", "of those that could refuse"
    desk.spend("11")
    decision = desk.enforcement.check(run())
    assert (decision.allowed, decision.reason) == (False, Refusal.OVER_LIMIT)
    assert decision.budget
    assert decision.budget.rule.name == "day"
    assert [standing.remaining for standing in decision.budgets] == [0, 0]
    assert opened({**MONTH, "hard": False}).enforcement.check(run()).allowed


def test_a_refusal_says_what_is_left_and_until_when(opened: Open) -> None:
    desk = opened({**MONTH, "per": "feature", "timezone": "Asia/Kathmandu"})
    desk.spend("9.75", feature="checkout")
    decision = desk.enforcement.check(run("0.250000000001", feature="checkout"))
    assert decision.message == (
        "The budget 'month' for feature=checkout has 0.25 USD of 10 USD left until 2025-11-01T00:00:00+05:45; "
        "0.250000000001 USD are asked for."
    )
    assert decision.retry_after
    assert desk.enforcement.check(run("0.25", feature="checkout")).allowed
    desk.clock.advance(decision.retry_after - 1)
    assert not desk.enforcement.check(run("0.250000000001", feature="checkout")).allowed
    desk.clock.advance(1)
    assert desk.enforcement.check(run("0.250000000001", feature="checkout")).allowed


def test_a_rolling_window_tells_the_end_of_its_step(opened: Open) -> None:
    desk = opened(WINDOW)
    desk.spend("1")
    decision = desk.enforcement.check(run())
    assert decision.message == "The budget 'window' has 0 USD of 1 USD left in the last 24h."
    assert decision.retry_after == 40, "20 s of the current step, a minute, have passed"
    desk.clock.advance(86_400 + 60)
    assert desk.enforcement.check(run()).allowed


def test_several_budgets_refuse_until_the_last_of_them_starts_anew(opened: Open) -> None:
    desk = opened(MONTH, DAY)
    desk.spend("10")
    decision = desk.enforcement.check(run())
    assert decision.retry_after
    desk.clock.advance(decision.retry_after - 1)
    assert not desk.enforcement.check(run()).allowed
    desk.clock.advance(1)
    assert desk.enforcement.check(run()).allowed


def test_calls_without_a_price_block_where_that_is_wanted(opened: Open) -> None:
    desk = opened({**MONTH, "unpriced": "block", "per": "feature"}, {**DAY, "unpriced": "warn"})
    desk.spend(unpriced=1, feature="checkout")
    decision = desk.enforcement.check(run(feature="checkout"))
    assert (decision.allowed, decision.reason) == (False, Refusal.UNPRICED)
    assert decision.message.startswith(
        "The budget 'month' for feature=checkout has calls without a known price (1) until"
    )
    assert isinstance(take(desk, run("0.1", feature="checkout")), Decision)
    assert desk.enforcement.check(run(feature="search")).allowed


def test_values_are_compared_by_as_many_characters_as_the_ledger_keeps(opened: Open) -> None:
    desk = opened({**MONTH, "per": "user"})
    desk.spend("10", user="u" * 200)
    assert not desk.enforcement.check(run(user="u" * 1_000_000)).allowed
    assert desk.enforcement.check(run(user="u" * 199)).allowed


def test_a_value_without_room_is_told_what_all_of_these_spent(opened: Open) -> None:
    """It may be refused too early, never too late; the values with sums of their own are not touched by it."""
    desk = opened({**MONTH, "per": ["user"], "limit_usd": 10})
    desk.ledger._room.max_values = 2
    for number in range(6):
        desk.spend("2.5", user=f"u{number}")
    first, last, never = (desk.enforcement.check(run(user=user)) for user in ("u0", "u5", "someone else"))
    assert first.allowed
    assert first.budgets[0].spend == picodollars("2.5")
    for decision in (last, never):
        assert not decision.allowed
        assert decision.budgets[0].spend == picodollars("10")


def test_attributes_are_matched_by_key(opened: Open) -> None:
    desk = opened({**MONTH, "per": "attribute.tenant"}, {**DAY, "match": {"attribute.plan": "free"}})
    desk.spend("10", attributes=("pro", "acme"))
    assert not desk.enforcement.check(Run("default", {"attribute.tenant": "acme"})).allowed
    decision = desk.enforcement.check(Run("default", {"attribute.tenant": "other", "attribute.plan": "free"}))
    assert (decision.allowed, len(decision.budgets)) == (True, 2)


@pytest.mark.parametrize("ready", [True, False])
def test_while_spend_is_not_known_the_setting_decides(opened: Open, ready: bool) -> None:
    why = "The store does not answer." if ready else "The ledger is still being built from the store."
    for fail in ("open", "closed"):
        desk = opened({**MONTH, "match": {"service": "shop"}}, fail=fail)
        desk.ledger.ready, desk.why_ill = ready, why
        decision = desk.enforcement.check(run("1", service="shop"))
        assert decision.degraded == why
        assert desk.enforcement.check(run("1")).allowed, "no hard budget has a say in it"
        if fail == "open":
            assert decision.allowed
            assert isinstance(take(desk, run("1", service="shop")), Granted)
        else:
            assert (decision.allowed, decision.reason, decision.retry_after) == (False, Refusal.UNAVAILABLE, 5)
            assert decision.message == f"Spend is not wholly known, and enforcement.fail is closed. {why}"
            assert isinstance(take(desk, run("1", service="shop")), Decision)
        desk.ledger.ready, desk.why_ill = True, None
        assert desk.enforcement.check(run("1", service="shop")).degraded == ""


def test_an_outage_does_not_open_a_cap_that_was_reached(opened: Open) -> None:
    desk = opened(MONTH)
    desk.spend("10")
    desk.why_ill = "The store does not answer."
    decision = desk.enforcement.check(run())
    assert (decision.allowed, decision.reason, decision.degraded) == (False, Refusal.OVER_LIMIT, desk.why_ill)


# -- leases -----------------------------------------------------------------------------------------------------------


def test_leases_set_aside_until_spans_settle_them(opened: Open) -> None:
    desk = opened(MONTH)
    lease_id = granted(desk, run("6"))
    assert list(desk.enforcement.open_leases()) == [lease_id]
    refused = take(desk, run("5"))
    assert isinstance(refused, Decision)
    assert refused.message == (
        "The budget 'month' has 4 USD of 10 USD left until 2025-11-01T00:00:00+00:00, with 6 USD set aside for other "
        "runs; 5 USD are asked for."
    )
    assert refused.retry_after == 10, "what is set aside may be free again soon"
    desk.spend("2")
    desk.enforcement.settle_leases([(lease_id, picodollars("2"), 100, False)])
    assert desk.enforcement.check(run("4")).allowed
    assert not desk.enforcement.check(run("4.000000000001")).allowed
    desk.spend("4")
    desk.enforcement.settle_leases([(lease_id, picodollars("6"), 100, True)])
    assert list(desk.enforcement.open_leases()) == []
    found = asyncio.run(desk.enforcement.find("default", lease_id))
    assert (found.state, found.spent_pico, found.spent_tokens) == (LeaseState.FINISHED, picodollars("6"), 100)


def test_the_calls_of_another_service_may_arrive_after_the_root(opened: Open) -> None:
    desk = opened(MONTH)
    lease_id = granted(desk, run("6"))
    desk.enforcement.settle_leases([(lease_id, 0, 0, True)])
    assert not desk.enforcement.check(run("5")).allowed, "what the run has spent is still on its way"
    desk.clock.advance(30)
    desk.spend("5")
    desk.enforcement.settle_leases([(lease_id, picodollars("5"), 100, True)])
    assert desk.enforcement.check(run("4")).allowed
    assert not desk.enforcement.check(run("4.000000000001")).allowed
    desk.reopen()
    desk.clock.advance(29)
    assert not desk.enforcement.check(run("5")).allowed
    desk.clock.advance(1)
    assert desk.enforcement.check(run("5")).allowed, "a minute after the root first arrived"


def test_leases_survive_a_restart(opened: Open) -> None:
    desk = opened({**MONTH, "per": "feature"}, TOKENS)
    lease_id = granted(desk, run("6", 900, feature="checkout"))
    granted(desk, run("6", 50, feature="search"), ttl=10)
    desk.enforcement.settle_leases([(lease_id, picodollars("1"), 100, False)])
    desk.reopen()
    assert desk.enforcement.check(run("5", 150, feature="checkout")).allowed
    assert not desk.enforcement.check(run("5.000000000001", feature="checkout")).allowed
    assert not desk.enforcement.check(run("5", 151, feature="checkout")).allowed
    desk.clock.advance(10)
    assert desk.enforcement.check(run("10", 200, feature="search")).allowed
    assert asyncio.run(desk.enforcement.find("default", lease_id)).spent_tokens == 100


def test_new_rules_hold_open_leases_too(opened: Open) -> None:
    desk = opened(MONTH)
    granted(desk, run("6", feature="checkout"))
    changed = rules({**DAY, "name": "new", "limit_usd": 7, "per": "feature"})
    desk.ledger.keep(changed.rules)
    desk.enforcement.reload(changed, desk.config)
    assert not desk.enforcement.check(run("2", feature="checkout")).allowed
    assert desk.enforcement.check(run("1", feature="checkout")).allowed
    assert desk.enforcement.check(run("7", feature="search")).allowed


def test_a_lease_needs_an_estimate_in_the_unit_of_each_hard_budget(opened: Open) -> None:
    desk = opened(MONTH, TOKENS)
    for wanted, name in ((run("1"), "estimate_tokens"), (run(tokens=1), "estimate_usd")):
        with pytest.raises(Rejected, match=f"say {name}, the most this run may need") as caught:
            take(desk, wanted)
        assert caught.value.reason is Reason.MALFORMED
    assert granted(desk, run("0", 0))


def test_the_time_of_a_lease_has_a_limit(opened: Open) -> None:
    desk = opened(MONTH)
    desk.enforcement.reload(desk.rules, EnforcementConfig.model_validate({"lease_ttl": "1m", "max_lease_ttl": "1h"}))
    with pytest.raises(Rejected, match=r"at most 3600 \(enforcement.max_lease_ttl\), not 3601\.") as caught:
        take(desk, run("1"), 3601)
    assert caught.value.reason is Reason.MALFORMED
    short, long = granted(desk, run("1")), granted(desk, run("1"), 3600)
    desk.clock.advance(60)
    assert list(desk.enforcement.open_leases()) == [long]
    assert asyncio.run(desk.enforcement.find("default", short)).state is LeaseState.EXPIRED


def test_a_lease_is_known_to_its_project_only(opened: Open) -> None:
    desk = opened(MONTH)
    lease_id = granted(desk, run("1"))
    for ask in (desk.enforcement.find, desk.enforcement.release):
        with pytest.raises(Rejected, match="in project other") as caught:
            asyncio.run(ask("other", lease_id))
        assert caught.value.reason is Reason.NOT_FOUND
    assert list(desk.enforcement.open_leases()) == [lease_id]
    assert asyncio.run(desk.enforcement.release("default", lease_id)).state is LeaseState.RELEASED
    assert asyncio.run(desk.enforcement.release("default", lease_id)).state is LeaseState.RELEASED


def test_a_run_that_ended_gives_back_what_it_did_not_need(opened: Open) -> None:
    desk = opened(MONTH)
    lease_id = granted(desk, run("6"))
    ended = asyncio.run(desk.enforcement.end("default", lease_id, Estimate(picodollars("2"))))
    assert ended.pico_left == picodollars("2")
    assert desk.enforcement.check(run("8")).allowed
    assert not desk.enforcement.check(run("8.1")).allowed, "its spans are not counted yet"
    desk.clock.advance(60)
    assert desk.enforcement.check(run("10")).allowed


def test_what_cannot_be_made_durable_is_not_granted(opened: Open) -> None:
    desk = opened(MONTH)
    desk.store.close()
    with pytest.raises(Unavailable):
        take(desk, run("6"))
    assert desk.enforcement.check(run("10")).allowed
    assert list(desk.enforcement.open_leases()) == []


def test_a_thousand_leases_at_once_get_exactly_the_cap(opened: Open) -> None:
    desk = opened({**MONTH, "per": "feature"})
    desk.spend("1.3", feature="checkout")

    async def all_at_once() -> list[Granted | Decision]:
        wanted = (run("0.07", feature="checkout") for _ in range(1000))
        return await asyncio.gather(*(desk.enforcement.lease(one) for one in wanted))

    answers = asyncio.run(all_at_once())
    assert sum(isinstance(answer, Granted) for answer in answers) == 124, "8.7 / 0.07"
    desk.reopen()
    assert len(desk.enforcement.open_leases()) == 124


def test_one_project_cannot_use_up_the_leases_of_all(opened: Open) -> None:
    desk = opened({**MONTH, "limit_usd": 1000})
    desk.store.put(
        [
            Lease(f"lease_{number}", "default", {}, 1, 0, desk.clock.now_ns, desk.clock.now_ns + 60 * 10**9)
            for number in range(20_000)
        ]
    ).result()
    desk.reopen()
    with pytest.raises(Unavailable, match="The project default has 20000 open leases, the most one can have") as caught:
        take(desk, run("1"))
    assert caught.value.reason is Reason.BUSY
    assert granted(desk, run("1", project="other"))
    asyncio.run(desk.enforcement.release("default", "lease_7"))
    assert granted(desk, run("1"))
    desk.clock.advance(60)
    assert granted(desk, run("1"))


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from collector.budgets.decisions import Estimate
    from collector.spending.enforcement import Granted, Run
    from tests.support.budgets import MONTH, Desk

    desk = Desk(Path(sys.argv[1]), {**MONTH, "limit_usd": 1000})

    async def take_for_ever():
        while True:
            answer = await desk.enforcement.lease(Run("default", {}, Estimate(10**9)))
            assert isinstance(answer, Granted)
            sys.stdout.write(answer.lease.id + "\\n")
            sys.stdout.flush()

    async def all():
        await asyncio.gather(*(take_for_ever() for _ in range(20)))

    asyncio.run(all())
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_lease_that_was_answered_survives_sigkill(tmp_path: Path, seed: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        answered = [child.stdout.readline().decode().strip() for _ in range(random.Random(seed).randint(1, 400))]
        child.kill()
        answered += [
            line.strip() for line in child.stdout.read().decode().splitlines(keepends=True) if line.endswith("\n")
        ]
    assert all(answered)
    desk = Desk(tmp_path, {**MONTH, "limit_usd": 1000})
    held = desk.enforcement.open_leases()
    assert set(held) >= set(answered)
    decision = desk.enforcement.check(run())
    assert decision.budget
    assert decision.budget.reserved == len(held) * 10**9
    desk.close()
