"""The ledger by itself: windows that are asked while they move on, and what happens when there is no room."""

import threading
from collections import Counter
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.decisions import period_at
from collector.budgets.ledger import OTHER, Cells, Ledger
from collector.budgets.ledger.rolling_advance import advance
from collector.budgets.ledger.rolling_sums import RollingSums
from collector.budgets.periods import Rolling
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import NOTHING, Amount
from collector.config import Config

HOUR = 3_600 * 10**9
NOW = 1_774_744_200_000_000_000
STEP = 60 * 10**9  # of a window of 24 hours


def rules_of(*budgets: dict[str, Any]) -> Rules:
    budgets = tuple({"limit_usd": 1, **budget} for budget in budgets)
    return Rules.from_config(Config.model_validate({"budgets": list(budgets), "store": {"ttl": "0s"}}))


def ledger_of(rules: Rules, max_values: int) -> Ledger:
    ledger = Ledger(max_values)
    ledger.keep(rules)
    ledger.advance(NOW)
    for rule, schedule in rules.calendar.values():
        ledger.load(rule, schedule.at(NOW).start, {})
    return ledger


def start_now(rule: Rule) -> int:
    start = rule.schedule.countable(NOW, NOW)
    assert start is not None
    return start


def cost(pico: int) -> Amount:
    return Amount(pico, 2 * pico, 1, 0)


spends = st.tuples(st.integers(-1_500, 1_500), st.sampled_from("abcde"), st.integers(1, 100))
passing = st.tuples(st.just("later"), st.integers(1, 400))


@given(st.lists(spends | passing, max_size=60), st.data())
def test_a_window_is_right_at_every_moment_of_its_moving_on(steps: list[Any], data: st.DataObject) -> None:
    """Whether all of it was moved on, some or nothing, by whoever asks with an older or a newer clock."""
    schedule = Rolling(24 * HOUR)
    sums = RollingSums(schedule, (OTHER,))
    spent: Counter[tuple[int, str]] = Counter()
    now = NOW
    for step in steps:
        if step[0] == "later":
            now += step[1] * STEP
        else:
            after, user, pico = step
            start = schedule.bucket(NOW + after * STEP)
            if schedule.kept(now).start <= start <= now + 24 * HOUR and sums.open(start):
                before = sums.at(start).get((user,), NOTHING)
                sums.put(start, (user,), before.plus(cost(pico)))
                spent[start, user] += pico
        for _ in range(data.draw(st.integers(0, 3))):
            advance(sums, schedule.window(now))
        earlier = schedule.window(now - data.draw(st.integers(0, 1_440)) * STEP)
        for window, user in product((schedule.window(now), earlier), "abcde"):
            expected = sum(pico for (start, who), pico in spent.items() if who == user and start in window)
            assert sums.in_window((user,), window).pico == expected
            assert sums.unlocked((user,), window) in (None, sums.in_window((user,), window))
            kept = max(window.start, schedule.kept(now).start)
            ahead = sum(pico for (start, who), pico in spent.items() if who == user and start >= kept)
            assert sums.in_window((user,), window, ahead=True).pico == ahead
            assert sums.unlocked((user,), window, ahead=True) in (None, sums.in_window((user,), window, ahead=True))
        for start, user in spent:
            if start in schedule.kept(now):
                assert sums.at(start)[user,].pico == spent[start, user]
    while not advance(sums, schedule.window(now)):
        pass
    steps_of = (*sums.steps.values(), *sums.past.values(), *sums.ahead.values())
    assert sums.size == sum(map(len, steps_of)) + len(sums.totals) + len(sums.future)
    assert all(schedule.window(now).start <= start for start in sums.steps)
    assert all(schedule.kept(now).start <= start < schedule.window(now).start for start in sums.past)


def window_with(users: int) -> tuple[RollingSums, Rolling]:
    """24 hours in which so many users spent something just now."""
    schedule = Rolling(24 * HOUR)
    sums = RollingSums(schedule, (OTHER,))
    while not advance(sums, schedule.window(NOW)):
        pass
    start = schedule.bucket(NOW)
    sums.open(start)
    for number in range(users):
        sums.put(start, (f"u{number}",), cost(1))
    return sums, schedule


def test_a_window_with_many_scopes_moves_on_bit_by_bit() -> None:
    sums, schedule = window_with(3_000)
    later = schedule.window(NOW + 25 * HOUR)
    moves = 0
    while not advance(sums, later):
        moves += 1
        assert sums.in_window(("u7",), later) == NOTHING
    assert moves >= 3_000 / 250
    assert not sums.totals
    assert sums.size == 3_000, "kept for a day more"
    moves = 0
    while not advance(sums, schedule.window(NOW + 49 * HOUR)):
        moves += 1
    assert moves >= 3_000 / 250
    assert sums.size == 0


def test_the_bound_is_of_all_rules_and_periods_together() -> None:
    rules = rules_of(
        {"name": "month", "period": "month", "per": ["user"]},
        {"name": "day", "period": "day", "per": ["user"]},
        {"name": "window", "period": "24h", "per": ["user"]},
        {"name": "feature", "period": "month", "per": ["feature"]},
        {"name": "everyone", "period": "month"},
    )
    ledger = ledger_of(rules, 100_000)
    many = [rules.by_name(name) for name in ("month", "day", "window")]
    for number in range(120_000):
        for rule in many:
            ledger.add(rule, (f"u{number}",), start_now(rule), cost(1))
    for number in range(5_000):
        ledger.add(rules.by_name("feature"), (f"f{number}",), start_now(rules.by_name("feature")), cost(3))
    ledger.add(rules.by_name("everyone"), (), start_now(rules.by_name("everyone")), cost(4))
    others = 2 * len(rules.rules)
    assert ledger.size() <= 100_000 + others

    for rule in many:
        period = period_at(rule, NOW)
        kept = ledger.scopes(rule, period)
        shared = kept.pop((OTHER,))
        assert set(kept.values()) == {cost(1)}, "a scope that is apart is exact"
        assert shared.pico + len(kept) == 120_000, "and nothing is lost"
        assert ledger.spend_in(rule, ("u0",), period_at(rule, NOW)) == cost(1)
        assert ledger.spend_in(rule, ("u119999",), period_at(rule, NOW)) == shared, (
            "one that shares is told what all of them spent"
        )
        assert ledger.spend_in(rule, ("never seen",), period_at(rule, NOW)) == shared
        assert ledger.counted_as(rule, ("u119999",), period) == (OTHER,)
        assert ledger.counted_as(rule, ("u0",), period) == ("u0",)
    feature = ledger.scopes(rules.by_name("feature"), period_at(rules.by_name("feature"), NOW))
    assert len(feature) == 5_000, "a rule with few scopes has its part of the room"
    assert (OTHER,) not in feature
    assert ledger.spend_in(rules.by_name("everyone"), (), period_at(rules.by_name("everyone"), NOW)) == cost(4)


def test_what_a_scope_took_back_is_taken_from_the_sum_it_was_counted_in() -> None:
    """Also when there is room again by then."""
    (rule,) = rules_of({"name": "month", "period": "month", "per": ["user"]})
    ledger = ledger_of(Rules([rule]), 4)
    start = start_now(rule)
    for number in range(10):
        ledger.add(rule, (f"u{number}",), start, cost(number + 1))
    shared = ledger.spend_in(rule, ("u9",), period_at(rule, NOW))
    assert shared.pico == sum(range(5, 11))
    ledger._room.max_values = 1_000
    ledger.add(rule, ("u9",), start, NOTHING.plus(cost(10), -1))
    assert ledger.spend_in(rule, ("u9",), period_at(rule, NOW)).pico == shared.pico - 10
    exact: Cells = {(f"u{number}",): cost(number + 1) for number in range(9)}
    assert ledger.load(rule, start, exact) == [], "sharing a sum is not being wrong"
    assert ledger.cells(rule, start) == exact, "and with room, each has its own again"


def test_a_new_period_takes_its_room_from_the_one_before() -> None:
    rules = rules_of({"name": "day", "period": "day", "per": ["user"]})
    rule = rules.by_name("day")
    ledger = ledger_of(rules, 1_000)
    yesterday, today = start_now(rule), start_now(rule) + 24 * HOUR
    for number in range(1_000):
        ledger.add(rule, (f"u{number}",), yesterday, cost(number))
    ledger.load(rule, today, {})
    for number in range(500):
        ledger.add(rule, (f"u{number}",), today, cost(number))
    assert ledger.cells(rule, today) == {(f"u{number}",): cost(number) for number in range(500)}
    before = ledger.cells(rule, yesterday)
    shared = before.pop((OTHER,))
    assert before == {(f"u{number}",): cost(number) for number in range(1_000 - len(before), 1_000)}, "the dearest"
    assert shared.pico + sum(amount.pico for amount in before.values()) == sum(range(1_000))
    assert ledger.size() <= 1_001


def test_from_the_store_those_that_spent_most_are_kept_apart() -> None:
    (rule,) = rules_of({"name": "month", "period": "month", "per": ["user"]})
    ledger = Ledger(1_000)
    ledger.keep([rule])
    start = start_now(rule)
    exact: Cells = {(f"u{number}",): cost(number) for number in range(150_000)}
    ledger.load(rule, start, exact)
    kept = ledger.cells(rule, start)
    assert kept.pop((OTHER,)).pico == sum(range(149_000))
    assert kept == {(f"u{number}",): cost(number) for number in range(149_000, 150_000)}


def test_a_reader_never_sees_a_period_half_replaced() -> None:
    """Checks read without a lock, while what the store says is taken over."""
    (rule,) = rules_of({"name": "month", "period": "month", "per": ["user"]})
    ledger = Ledger(10_000)
    ledger.keep([rule])
    start = start_now(rule)
    exact: Cells = {(f"u{number}",): cost(number + 1) for number in range(2_000)}
    ledger.load(rule, start, exact)
    wrong: list[Amount] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            amount = ledger.spend_in(rule, ("u7",), period_at(rule, NOW))
            if amount != cost(8):
                wrong.append(amount)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        ledger.load(rule, start, exact)
    done.set()
    reader.join()
    assert not wrong


def test_what_was_found_right_is_compared_again_once_it_changes() -> None:
    (rule,) = rules_of({"name": "day", "period": "day", "per": ["user"]})
    ledger = ledger_of(Rules([rule]), 100)
    start = start_now(rule)
    assert ledger.comparison.unverified(rule) == [start]
    ledger.comparison.watch([rule])
    ledger.comparison.verify(rule, [start])
    assert ledger.comparison.unverified(rule) == []
    ledger.add(rule, ("u",), start, cost(1))
    assert ledger.comparison.unverified(rule) == [start]
    ledger.comparison.verify(rule, [start])
    assert ledger.comparison.unverified(rule) == [start], "it changed while it was compared"
    ledger.comparison.unwatch([rule])


def test_a_sum_is_right_if_it_was_what_the_store_says_while_it_was_asked() -> None:
    (rule,) = rules_of({"name": "day", "period": "day", "per": ["user"]})
    ledger = ledger_of(Rules([rule]), 100)
    start = start_now(rule)
    ledger.add(rule, ("u",), start, cost(1))
    ledger.add(rule, ("v",), start, cost(5))
    ledger.comparison.watch([rule])
    for _ in range(2):
        ledger.add(rule, ("u",), start, cost(1))
    for pico in (1, 2, 3):
        assert ledger.comparison.is_or_was(rule, start, {("u",): Amount(pico, 2 * pico, pico, 0), ("v",): cost(5)})
    wrong: list[Cells] = [{("u",): cost(3)}, {("u",): cost(1)}, {("u",): cost(1), ("v",): cost(6)}]
    for exact in wrong:
        assert not ledger.comparison.is_or_was(rule, start, exact)
    ledger.load(rule, start, {})
    assert not ledger.comparison.is_or_was(rule, start, {}), "what was taken over meanwhile may be older or newer"
    ledger.comparison.unwatch([rule])


def test_giving_up_the_past_keeps_a_step_that_is_half_moved() -> None:
    sums, schedule = window_with(300)
    start = schedule.bucket(NOW)
    later = schedule.window(NOW + 24 * HOUR)
    while start not in sums.past:
        advance(sums, later)
    assert start in sums.steps, "half moved"
    sums.forget_past()
    assert len(sums.at(start)) == 300
    while not advance(sums, later):
        pass
    assert len(sums.past[start]) == sums.size == 300
    assert sums.complete_from <= start
    assert [len(cells) for cells in sums.forget_past()] == [300]
    assert (sums.size, sums.open(start)) == (0, False)
