"""Numbers and times as pages show them."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from collector.web.pages import formats

SECOND = 10**9


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 µs"),
        (840_000, "840 µs"),
        (999_499, "999 µs"),
        (999_500, "1.00 ms"),
        (12_400_000, "12.4 ms"),
        (999_600_000, "1.00 s"),
        (2_310_000_000, "2.31 s"),
        (53_700_000_000, "53.7 s"),
        (99_960_000_000, "1 min 40 s"),
        (247 * SECOND, "4 min 07 s"),
        (7500 * SECOND, "2 h 05 min"),
        (200_000 * SECOND, "2 d 8 h"),
        (-70_000_000, "\u221270.0 ms"),
    ],
)
def test_durations_have_three_digits_and_a_unit(nanoseconds: int, text: str) -> None:
    assert formats.duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("2.44", "$2.44"),
        ("1234.5", "$1,234.50"),
        ("0.0775", "$0.0775"),
        ("0.00001417", "$0.00001417"),
        ("0.000001340", "$0.000001340"),
        ("0", "$0.00"),
        ("-17.5", "\u2212$17.50"),
    ],
)
def test_money_is_never_shown_as_nothing(amount: str, text: str) -> None:
    assert formats.money(amount) == text


def test_a_column_of_money_has_one_precision() -> None:
    costs = [Decimal("2.5"), Decimal("0.0004"), None]
    decimals = formats.decimals_of(costs)
    assert [formats.money(cost, decimals) for cost in costs] == ["$2.5000", "$0.0004", ""]
    assert formats.decimals_of([Decimal(3), None]) == 2


@pytest.mark.parametrize(
    ("number", "text"), [(58_938, "58,938"), (999_999, "999,999"), (1_204_715, "1.20 M"), (3_400_000_000, "3.40 G")]
)
def test_counts_above_a_million_are_rounded(number: int, text: str) -> None:
    assert formats.count(number) == text


def test_bytes_are_exact_too() -> None:
    assert formats.size(4_999_985) == "4.77 MiB (4,999,985 bytes)"
    assert formats.size(20) == "20 bytes"


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "1 Nov 2026 05:59:59.004 UTC"),
        ("Asia/Kathmandu", "1 Nov 2026 11:44:59.004 UTC+05:45"),
        ("America/New_York", "1 Nov 2026 01:59:59.004 EDT"),
    ],
)
def test_times_name_their_zone(zone: str, text: str) -> None:
    at = int(datetime(2026, 11, 1, 5, 59, 59, tzinfo=ZoneInfo("UTC")).timestamp()) * SECOND + 4_000_000
    assert formats.full_time(at, ZoneInfo(zone)) == text


def test_the_hour_that_comes_twice_is_told_apart_by_its_zone() -> None:
    at = int(datetime(2026, 11, 1, 6, 30, tzinfo=ZoneInfo("UTC")).timestamp()) * SECOND
    assert formats.full_time(at, ZoneInfo("America/New_York")).endswith("01:30:00.000 EST")
    assert formats.full_time(at - 3600 * SECOND, ZoneInfo("America/New_York")).endswith("01:30:00.000 EDT")
