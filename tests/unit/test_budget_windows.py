"""When a rolling window was over a line: the same for whoever looks, whenever, as long as it is remembered."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.periods import Period, Rolling
from collector.budgets.span_facts import Amount
from collector.budgets.windows import levels, look, not_yet_notified, times_over
from collector.model.budgets import Line
from tests.support.budgets import rules

SECOND = 1_000_000_000
HOUR = 3600
WINDOW = Rolling(HOUR * SECOND)
STEP = WINDOW.step_ns
LENGTH = WINDOW.length_ns // STEP
RULE = rules({"name": "b", "limit_tokens": 100, "period": "1h", "warn_at": [0.5], "unpriced": "warn"}).by_name("b")

# Tokens by step: an hour has 1,200 of them.
spending = st.dictionaries(st.integers(0, 4 * LENGTH), st.integers(1, 120), max_size=25)


def ns(step: int) -> int:
    return 10_000 * WINDOW.length_ns + step * STEP


def held(spent: dict[int, int], step: int) -> int:
    return sum(tokens for at, tokens in spent.items() if step - LENGTH < at <= step)


def steps_of(spent: dict[int, int], now: int, oldest: int = -(10**6)) -> list[tuple[int, Amount]]:
    return [(ns(at), Amount(0, tokens, 1, 0)) for at, tokens in spent.items() if oldest <= at <= now]


@given(spending, st.integers(1, 150), st.integers(0, 3 * LENGTH), st.integers(0, 2 * LENGTH))
def test_times_over_a_line_are_those_added_up_step_by_step(
    spent: dict[int, int], needed: int, since: int, length: int
) -> None:
    now = since + length
    found = times_over(
        [(ns(at), tokens) for at, tokens in spent.items()], WINDOW, needed, ns(since), ns(now) + STEP - 1
    )
    over = {step for step in range(since, now + 1) if held(spent, step) >= needed}
    assert {step for step in range(since, now + 1) if any(ns(step) in time for time in found)} == over
    assert all(before.end < after.start for before, after in itertools.pairwise(found)), "without a gap"
    assert all(ns(since) <= time.start < time.end <= ns(now + 1) for time in found)


@given(
    spending, st.lists(st.integers(LENGTH // 10, LENGTH), min_size=1, max_size=30), st.integers(LENGTH // 10, LENGTH)
)
def test_whoever_looks_often_enough_finds_the_same_crossings(
    spent: dict[int, int], pauses: list[int], other: int
) -> None:
    last = 5 * LENGTH
    assert _crossings_found(spent, pauses, last) == _crossings_found(spent, [other], last)


def _crossings_found(spent: dict[int, int], pauses: list[int], last: int) -> set[tuple[Line, int]]:
    told: dict[Line, int] = {}
    found: set[tuple[Line, int]] = set()
    now, number = -1, 0
    while now < last:
        now, number = min(last, now + pauses[number % len(pauses)]), number + 1
        kept = WINDOW.kept(ns(now))
        since = WINDOW.bucket(ns(now)) - WINDOW.memory_ns
        assert kept == Period(since + STEP - WINDOW.length_ns, ns(now) + STEP)
        sums = [(start, amount) for start, amount in steps_of(spent, now) if start in kept]
        seen = look(RULE, WINDOW, (), sums, told, since, ns(now))
        for crossing in seen.crossings:
            key = crossing.line, crossing.over.start
            assert key not in found, "told twice"
            found.add(key)
        told = {**told, **{line: step for line, step in seen.notified.items() if step is not None}}
        told = {line: step for line, step in told.items() if seen.notified.get(line, step) is not None}
    return found


def test_lines_are_by_their_limit_and_reached_exactly() -> None:
    half, whole, unpriced = levels(RULE, ())
    assert (half.name, half.needed, whole.name, whole.needed, unpriced.needed) == ("0.5 of 100", 50, "1 of 100", 100, 1)
    thirds = rules({"name": "b", "limit_tokens": 10, "period": "1h", "warn_at": 0.333, "unpriced": "ignore"}).by_name(
        "b"
    )
    assert [level.needed for level in levels(thirds, ())] == [4, 10], "no call spends a part of a token"


A, B, C = Period(10, 20), Period(30, 40), Period(50, 60)


@pytest.mark.parametrize(
    ("told", "since", "expected", "speaks"),
    [
        (None, 5, [A, B, C], 50),
        (10, 5, [B, C], 50),
        (15, 5, [B, C], 50),  # late calls had A begin earlier
        (50, 5, [], 50),
        (50, 55, [], 50),  # C reaches back to what is remembered: it is the one told of
        (3, 5, [A, B, C], 50),  # long ago, and under the line since
        (25, 5, [C], 50),  # what it was told of was taken back: it speaks for B
        (70, 5, [], None),
    ],
)
def test_a_step_that_was_told_of_speaks_for_its_time_and_those_before(
    told: int | None, since: int, expected: list[Period], speaks: int | None
) -> None:
    times = [time for time in (A, B, Period(max(C.start, since), C.end)) if time.start >= since]
    assert not_yet_notified(times, told, since) == (expected, speaks)


def test_a_day_is_remembered_of_long_windows_and_a_window_of_short_ones() -> None:
    assert Rolling(3600 * SECOND).memory_ns == 3600 * SECOND
    month = Rolling(30 * 24 * HOUR * SECOND)
    assert (month.memory_ns, month.memory_ns % month.step_ns) == (24 * HOUR * SECOND, 0)
    week = Rolling(7 * 24 * HOUR * SECOND)
    assert 0 < 24 * HOUR * SECOND - week.memory_ns < week.step_ns
    assert week.memory_ns % week.step_ns == 0
