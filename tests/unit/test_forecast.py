"""The linear projection of a period's spend."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.forecast import Forecast, forecast

DAY = 86_400 * 10**9


@pytest.mark.parametrize(
    ("spend", "now", "expected"),
    [
        (0, DAY // 2, Forecast(0, None)),
        (40, DAY // 2, Forecast(80, None)),
        (50, DAY // 2, Forecast(100, DAY)),
        (80, DAY // 2, Forecast(160, DAY * 5 // 8)),
        (100, DAY // 2, Forecast(200, DAY // 2)),
        (100, 2 * DAY, Forecast(100, DAY)),
        (99, 2 * DAY, Forecast(99, None)),
        (5, 0, None),
        (5, -1, None),
    ],
)
def test_spend_goes_on_as_it_went(spend: int, now: int, expected: Forecast | None) -> None:
    assert forecast(spend, 100, 0, DAY, now) == expected


@given(
    spend=st.integers(0, 10**18),
    limit=st.integers(1, 10**18),
    start=st.integers(-(10**18), 10**18),
    length=st.integers(1, 10**17),
    share=st.fractions(0, 1),
)
def test_the_breach_is_the_first_moment_at_the_limit(
    spend: int, limit: int, start: int, length: int, share: Fraction
) -> None:
    now = start + max(1, int(length * share))
    found = forecast(spend, limit, start, start + length, now)
    assert found
    passed = now - start
    assert abs(found.total * passed - spend * length) * 2 <= passed
    if found.breach_ns is None:
        assert Fraction(spend, passed) * length < limit
    elif spend < limit:
        assert now < found.breach_ns <= start + length
        assert Fraction(spend, passed) * (found.breach_ns - start) >= limit
        assert Fraction(spend, passed) * (found.breach_ns - 1 - start) < limit
