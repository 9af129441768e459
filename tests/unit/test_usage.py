"""Counts as sent become totals that include their parts; what is inconsistent is settled by a stated rule and flagged."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.enrich.conventions.families import BUCKETS
from collector.enrich.conventions.usage import INCONSISTENT, MAX_TOKENS, cost, normalise
from collector.model.usage import Usage


def settled(counts: dict[str, Any], *, exclusive: bool = False) -> Usage:
    usage = normalise(counts, input_includes_cache=not exclusive, output_includes_reasoning=not exclusive)
    assert usage is not None
    return usage


def flags(usage: Usage) -> set[str]:
    return {name.removeprefix(f"{INCONSISTENT}.") for name in usage.details if name.startswith(f"{INCONSISTENT}.")}


def test_an_inclusive_input_keeps_its_total() -> None:
    usage = settled({"input": "1011", "output": "101", "cache_read": "513", "reasoning": "31"})
    assert usage == Usage(input_tokens=1011, output_tokens=101, cache_read_tokens=513, reasoning_tokens=31)


def test_an_exclusive_input_gains_its_cached_tokens() -> None:
    counts = {"input": "41", "output": "101", "cache_read": "2001", "cache_write": "301", "reasoning": "9"}
    usage = settled(counts, exclusive=True)
    assert (usage.input_tokens, usage.output_tokens) == (2343, 110)
    assert not usage.details


def test_more_cached_tokens_than_input_mean_that_the_input_excludes_them() -> None:
    usage = settled({"input": "41", "output": "101", "cache_read": "2001", "cache_write": "301"})
    assert usage.input_tokens == 2343
    assert usage.details == {INCONSISTENT: 1, f"{INCONSISTENT}.cache_exceeds_input": 1}


def test_the_total_can_tell_that_the_input_excludes_cached_tokens() -> None:
    usage = settled({"input": "500", "output": "10", "cache_read": "400", "total": "910"})
    assert usage.input_tokens == 900
    assert flags(usage) == {"total_includes_cache"}
    assert settled({"input": "500", "output": "10", "cache_read": "400", "total": "510"}).input_tokens == 500


def test_more_reasoning_than_output_means_that_the_output_excludes_it() -> None:
    usage = settled({"input": "1", "output": "10", "reasoning": "64"})
    assert (usage.output_tokens, flags(usage)) == (74, {"reasoning_exceeds_output"})


def test_cache_writes_are_at_least_their_parts() -> None:
    usage = settled(
        {"input": "900", "output": "1", "cache_write": "100", "cache_write_1h": "150", "cache_write_5m": "50"}
    )
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens, flags(usage)) == (200, 150, {"cache_write_parts"})
    usage = settled({"input": "900", "output": "1", "cache_write": "0", "cache_write_5m": "50"})
    assert (usage.cache_write_tokens, flags(usage)) == (50, set())


def test_a_missing_input_is_the_rest_of_the_total() -> None:
    assert settled({"total": "67"}).input_tokens == 67
    assert flags(settled({"total": "67"})) == {"total_undivided"}
    assert settled({"total": "67", "output": "7"}).input_tokens == 60
    assert flags(settled({"output": "7"})) == {"input_missing"}
    assert settled({"input": "60", "total": "67"}).output_tokens == 7


def test_parts_without_a_total_are_no_usage() -> None:
    assert normalise({"reasoning": "31"}) is None
    assert normalise({"cache_read": "31"}) is None


def test_nothing_and_zero_are_no_usage() -> None:
    assert normalise({}) is None
    assert normalise({"input": "0", "output": "0"}) is None
    assert normalise({"input": "0", "output": "0"}, {"web_searches": "2"}) == Usage(details={"web_searches": 2})


def test_audio_fits_in_its_totals() -> None:
    usage = settled({"input": "100", "cache_read": "40", "output": "50", "reasoning": "20", "input_audio": "90",
                     "cache_audio_read": "60", "output_audio": "45"})  # fmt: skip
    assert (usage.cache_audio_read_tokens, usage.input_audio_tokens, usage.output_audio_tokens) == (40, 90, 30)
    assert flags(usage) == {"audio_exceeds_total"}


@pytest.mark.parametrize(
    ("sent", "meant", "flag"),
    [
        ("12", 12, None),
        ("12.0", 12, None),
        (12.0, 12, None),
        ("1e3", 1000, None),
        (" 12 ", 12, None),
        ("11.2", 12, "not_whole"),
        (11.2, 12, "not_whole"),
        ("-1", None, "negative"),
        (-1, None, "negative"),
        ("-0.5", None, "negative"),
        ("true", None, "not_a_number"),
        (True, None, "not_a_number"),
        ("many", None, "not_a_number"),
        ("NaN", None, "not_a_number"),
        (float("inf"), None, "not_a_number"),
        ({"tokens": 1}, None, "not_a_number"),
        ([1], None, "not_a_number"),
        ("9" * 40, None, "too_large"),
        ("9" * 4000, None, "not_a_number"),
        (10**4000, None, "too_large"),
        ("1e999999", None, "too_large"),
        (str(MAX_TOKENS), MAX_TOKENS, None),
        (str(MAX_TOKENS + 1), None, "too_large"),
    ],
)
def test_what_a_count_is(sent: Any, meant: int | None, flag: str | None) -> None:
    usage = settled({"input": "5", "output": sent})
    assert usage.output_tokens == (meant or 0)
    expected = {flag} if flag else set()
    assert flags(usage) == expected


_NUMBER = st.one_of(
    st.integers(),
    st.integers(0, 5000),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.integers(0, 5000).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.none(),
    st.lists(st.integers(), max_size=2),
)


@given(st.dictionaries(st.sampled_from(BUCKETS), _NUMBER), st.booleans(), st.booleans())
def test_any_counts_become_disjoint_buckets(counts: dict[str, Any], cache: bool, reasoning: bool) -> None:
    usage = normalise(counts, input_includes_cache=cache, output_includes_reasoning=reasoning)
    if usage is None:
        return
    uncached = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    audio = usage.input_audio_tokens - usage.cache_audio_read_tokens
    assert 0 <= audio <= uncached
    assert 0 <= usage.cache_audio_read_tokens <= usage.cache_read_tokens
    assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
    assert 0 <= usage.output_audio_tokens <= usage.output_tokens - usage.reasoning_tokens
    assert usage.reasoning_tokens >= 0
    assert all(0 < count < 2**64 for count in usage.details.values())


@given(st.one_of(_NUMBER, st.decimals(0, 10**7).map(str)))
def test_a_reported_cost_fits_its_column(value: Any) -> None:
    amount = cost(value)
    if amount is not None:
        assert 0 <= amount < 1_000_000
        assert amount == amount.quantize(Decimal("1e-12"))


def test_reported_costs() -> None:
    assert cost("0.00017377499999999998") == Decimal("0.000173775000")
    assert cost(0.003) == Decimal("0.003")
    for refused in ("-1", "1000000", "999999.9999999999999", "free", True, None, [1]):
        assert cost(refused) is None
