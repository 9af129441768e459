"""When a failed webhook is sent again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.webhooks.retries import DELAYS, MAX_DELAY, Outcome, next_delay, outcome_of, parse_retry_after

NOW = 1_760_000_000_000_000_000
CHANCE = st.floats(0, 1, exclude_max=True)


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    plain = [next_delay(failures, None, lambda: 0.5) for failures in range(1, len(DELAYS) + 2)]
    assert plain == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, None]
    # The last line of the specification's table: the time since the first attempt.
    assert timedelta(seconds=sum(DELAYS)) == timedelta(hours=75, minutes=35, seconds=5)


@given(st.integers(1, len(DELAYS)), st.none() | st.floats(0, 10**9), CHANCE)
def test_a_delay_is_near_the_schedule_never_before_what_was_asked_and_a_day_at_most(
    failures: int, asked: float | None, chance: float
) -> None:
    delay = next_delay(failures, asked, lambda: chance)
    assert delay is not None
    assert 0.8 * DELAYS[failures - 1] <= delay <= MAX_DELAY
    assert delay >= min(asked or 0, MAX_DELAY)
    if not asked:
        assert delay <= 1.2 * DELAYS[failures - 1]


@given(st.integers(len(DELAYS) + 1, 10**6), st.none() | st.floats(0, 10**9), CHANCE)
def test_it_ends(failures: int, asked: float | None, chance: float) -> None:
    assert next_delay(failures, asked, lambda: chance) is None


def test_receivers_are_not_asked_all_at_once() -> None:
    assert next_delay(1, 60, lambda: 0.0) != next_delay(1, 60, lambda: 0.9)


@given(st.integers(0, 10**6))
def test_retry_after_is_read_as_seconds_and_as_a_date(seconds: int) -> None:
    assert parse_retry_after(f" {seconds} ", NOW) == min(seconds, MAX_DELAY)
    at = datetime.fromtimestamp(NOW // 10**9, UTC) + timedelta(seconds=seconds)
    parsed = parse_retry_after(format_datetime(at, usegmt=True), NOW)
    assert parsed == (min(seconds, MAX_DELAY) if seconds else None)


@given(st.text())
def test_any_other_retry_after_is_none_or_bounded(text: str) -> None:
    parsed = parse_retry_after(text, NOW)
    assert parsed is None or 0 <= parsed <= MAX_DELAY


@pytest.mark.parametrize("text", [None, "", "-5", "1.5", "soon", "9" * 5000, "Wed, 21 Oct 2015 07:28:00 GMT", "١٢"])
def test_odd_retry_after(text: str | None) -> None:
    assert parse_retry_after(text, NOW) in {None, MAX_DELAY}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *[(status, Outcome.DELIVERED) for status in (200, 201, 202, 204, 299)],
        (410, Outcome.GONE),
        *[(status, Outcome.FAILED) for status in (300, 301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 503, 599)],
    ],
)
def test_verdicts(status: int, expected: Outcome) -> None:
    assert outcome_of(status) is expected
