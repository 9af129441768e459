"""Periods tile time in every zone, start where the local clock says, and hold their instants."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.budgets.periods import Calendar, Period, PeriodKind, Rolling, Schedule

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
WINDOW = Rolling(24 * HOUR)
ZONES = sorted(available_timezones())


def ns(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """A local time as Unix nanoseconds."""
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(wall.timestamp()) * SECOND


def calendar(kind: str, zone: str = "UTC", week_start: int = 0, month_day: int = 1) -> Calendar:
    return Calendar(PeriodKind(kind), ZoneInfo(zone), week_start, month_day)


def utc(period: Period) -> tuple[str, str]:
    """Its bounds, readable."""
    start, end = (
        datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S") for at in (period.start, period.end)
    )
    return start, end


@pytest.mark.parametrize(
    ("kind", "zone", "at", "start", "end"),
    [
        ("hour", "UTC", "2026-11-22T10:30", "2026-11-22T10:00", "2026-11-22T11:00"),
        ("hour", "Asia/Kathmandu", "2026-11-22T10:30", "2026-11-22T10:00", "2026-11-22T11:00"),
        ("hour", "Asia/Kolkata", "2026-11-22T10:00", "2026-11-22T10:00", "2026-11-22T11:00"),
        ("day", "America/New_York", "2026-11-22T23:59:59", "2026-11-22T00:00", "2026-11-23T00:00"),
        ("day", "America/New_York", "2026-03-08T12:00", "2026-03-08T00:00", "2026-03-09T00:00"),
        ("week", "Europe/Berlin", "2026-11-22T12:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("month", "Asia/Tokyo", "2026-02-28T12:00", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("quarter", "UTC", "2026-11-22T12:00", "2026-10-01T00:00", "2027-01-01T00:00"),
        ("year", "UTC", "2026-11-22T12:00", "2026-01-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_ordinary_periods(kind: str, zone: str, at: str, start: str, end: str) -> None:
    assert calendar(kind, zone).at(ns(at, zone)) == Period(ns(start, zone), ns(end, zone))


@pytest.mark.parametrize(
    ("kind", "month_day", "at", "start", "end"),
    [
        ("month", 15, "2026-03-14T23:59:59", "2026-02-15T00:00", "2026-03-15T00:00"),
        ("month", 15, "2026-03-15T00:00", "2026-03-15T00:00", "2026-04-15T00:00"),
        ("month", 28, "2026-01-01T00:00", "2025-12-28T00:00", "2026-01-28T00:00"),
        ("quarter", 6, "2026-04-05T23:00", "2026-01-06T00:00", "2026-04-06T00:00"),
        ("quarter", 6, "2026-01-05T23:00", "2025-10-06T00:00", "2026-01-06T00:00"),
        ("quarter", 6, "2026-12-31T23:00", "2026-10-06T00:00", "2027-01-06T00:00"),
        ("year", 6, "2026-01-05T23:59", "2025-01-06T00:00", "2026-01-06T00:00"),
        ("year", 6, "2026-01-06T00:00", "2026-01-06T00:00", "2027-01-06T00:00"),
    ],
)
def test_the_day_on_which_months_start(kind: str, month_day: int, at: str, start: str, end: str) -> None:
    zone = "Europe/London"
    found = calendar(kind, zone, month_day=month_day).at(ns(at, zone))
    assert found == Period(ns(start, zone), ns(end, zone))


@pytest.mark.parametrize("week_start", range(7))
def test_the_day_on_which_weeks_start(week_start: int) -> None:
    zone = "Pacific/Auckland"
    weeks = calendar("week", zone, week_start=week_start)
    for day in range(1, 15):
        period = weeks.at(ns(f"2026-09-{day:02}T13:00", zone))
        start = datetime.fromtimestamp(period.start // SECOND, ZoneInfo(zone))
        assert (start.weekday(), start.hour, start.minute) == (week_start, 0, 0)


@pytest.mark.parametrize(
    ("zone", "at", "start", "end"),
    [
        # Midnight is left out: the day starts with the first instant after the gap.
        ("America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04 03:00:00", "2018-11-05 02:00:00"),
        ("Asia/Beirut", "2024-03-31T12:00", "2024-03-30 22:00:00", "2024-03-31 21:00:00"),
        ("Africa/Cairo", "2024-04-26T12:00", "2024-04-25 22:00:00", "2024-04-26 21:00:00"),
        # Midnight comes twice: the day starts with the first.
        ("America/Havana", "2026-11-01T12:00", "2026-11-01 04:00:00", "2026-11-02 05:00:00"),
        ("Atlantic/Azores", "2026-10-25T12:00", "2026-10-25 00:00:00", "2026-10-26 01:00:00"),
        # The day before had 25 hours, the last of which came twice.
        ("Asia/Beirut", "2024-10-26T12:00", "2024-10-25 21:00:00", "2024-10-26 22:00:00"),
        # The clock was put back at one minute past midnight: the date before came once more, within the new day.
        ("America/St_Johns", "2005-10-30T12:00", "2005-10-30 02:30:00", "2005-10-31 03:30:00"),
        # A whole day is left out, and one comes twice as long.
        ("Pacific/Apia", "2011-12-29T12:00", "2011-12-29 10:00:00", "2011-12-30 10:00:00"),
        ("Pacific/Apia", "2011-12-31T12:00", "2011-12-30 10:00:00", "2011-12-31 10:00:00"),
        ("Africa/Monrovia", "1972-01-07T12:00", "1972-01-07 00:44:30", "1972-01-08 00:00:00"),
    ],
)
def test_days_on_which_clocks_change(zone: str, at: str, start: str, end: str) -> None:
    days = calendar("day", zone)
    found = days.at(ns(at, zone))
    assert utc(found) == (start, end)
    assert calendar("day", zone).at(found.start) == calendar("day", zone).at(found.end - 1) == found


def test_the_date_that_comes_once_more_counts_to_the_day_that_has_begun() -> None:
    zone = "America/St_Johns"  # 2005-10-30 00:01 became 2005-10-29 23:01
    again = ns("2005-10-29T23:30", zone, fold=1)
    assert datetime.fromtimestamp(again // SECOND, ZoneInfo(zone)).day == 29
    assert calendar("day", zone).at(again) == calendar("day", zone).at(ns("2005-10-30T12:00", zone))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", [1] * 23),
        ("America/New_York", "2026-11-01", [1] * 25),
        ("Asia/Kathmandu", "2026-11-01", [1] * 24),
        ("Africa/Cairo", "2024-04-26", [1] * 23),
        # Half an hour is left out, and comes twice.
        ("Australia/Lord_Howe", "2026-10-04", [1, 1, 0.5] + [1] * 21),
        ("Australia/Lord_Howe", "2026-04-05", [1, 1, 0.5] + [1] * 22),
    ],
)
def test_hours_of_a_day_on_which_clocks_change(zone: str, day: str, hours: list[float]) -> None:
    whole = calendar("day", zone).at(ns(f"{day}T12:00", zone))
    schedule = calendar("hour", zone)
    found = []
    period = schedule.at(whole.start)
    while period.start < whole.end:
        found.append((period.end - period.start) / HOUR)
        period = schedule.after(period)
    assert found == hours
    assert period.start == whole.end


def test_late_instants_do_not_displace_the_present() -> None:
    """Whatever is remembered, an instant's period is the same."""
    days = calendar("day", "America/New_York")
    now = ns("2026-11-22T12:00")
    today = days.at(now)
    for late in range(100):
        assert days.at(now - late * 24 * HOUR).end == calendar("day", "America/New_York").at(now - late * 24 * HOUR).end
        assert days.at(now) == today
    assert len(days._recent) <= 8


def test_periods_are_compared_by_what_they_are() -> None:
    used, fresh = calendar("day", "Asia/Tokyo"), calendar("day", "Asia/Tokyo")
    used.at(0)
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert repr(used) == repr(fresh)
    assert Period(1, 5) < Period(2, 3)
    assert 1 in Period(1, 5)
    assert 5 not in Period(1, 5)


INSTANTS = st.integers(0, int(datetime(2105, 12, 31, tzinfo=UTC).timestamp()) * SECOND)
LONGEST = {"hour": 1, "day": 48, "week": 8 * 24, "month": 32 * 24, "quarter": 93 * 24, "year": 367 * 24}


@given(st.sampled_from(ZONES), st.sampled_from(list(PeriodKind)), st.integers(0, 6), st.integers(1, 28), INSTANTS)
@example("Pacific/Kwajalein", PeriodKind.DAY, 0, 1, ns("1993-08-21T12:00"))
@example("Africa/Monrovia", PeriodKind.HOUR, 0, 1, ns("1972-01-07T00:44"))
@example("America/St_Johns", PeriodKind.MONTH, 0, 1, ns("2006-10-29T02:31"))
@example("Pacific/Apia", PeriodKind.WEEK, 4, 1, ns("2011-12-30T12:00"))
@example("Antarctica/Troll", PeriodKind.DAY, 0, 1, ns("2026-03-29T01:30"))
def test_consecutive_periods_tile_time(zone: str, kind: PeriodKind, week_start: int, month_day: int, at: int) -> None:
    schedule = Calendar(kind, ZoneInfo(zone), week_start, month_day)
    period = schedule.at(at)
    assert period.start <= at < period.end
    assert period.end - period.start <= LONGEST[kind.value] * HOUR
    before, after = schedule.before(period), schedule.after(period)
    assert (before.end, after.start) == (period.start, period.end)
    for other in (before, period, after):
        middle = (other.start + other.end) // 2
        fresh = Calendar(kind, ZoneInfo(zone), week_start, month_day)
        assert fresh.at(other.end - 1) == fresh.at(other.start) == fresh.at(middle) == other


def _wall(at: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at // SECOND, zone).replace(tzinfo=None)


@given(st.sampled_from(ZONES), st.sampled_from([kind for kind in PeriodKind if kind is not PeriodKind.HOUR]), INSTANTS)
@example("America/Sao_Paulo", PeriodKind.DAY, ns("2018-11-04T12:00"))
@example("Atlantic/Azores", PeriodKind.DAY, ns("2026-10-25T12:00"))
def test_a_period_starts_when_the_clock_first_shows_midnight_or_later(name: str, kind: PeriodKind, at: int) -> None:
    zone = ZoneInfo(name)
    start = Calendar(kind, zone).at(at).start
    shows, showed = _wall(start, zone), _wall(start - SECOND, zone)
    midnight = shows.replace(hour=0, minute=0, second=0)
    assert showed < midnight <= shows
    if shows != midnight:  # only where midnight was left out
        assert shows - showed > timedelta(seconds=1)


@given(st.sampled_from(ZONES), INSTANTS)
@example("Australia/Lord_Howe", ns("2026-04-04T14:45"))
def test_an_hour_is_one_of_the_local_clock(name: str, at: int) -> None:
    zone = ZoneInfo(name)
    period = Calendar(PeriodKind.HOUR, zone).at(at)
    first, last = _wall(period.start, zone), _wall(period.end - 1, zone)
    assert (first.date(), first.hour) == (last.date(), last.hour)
    assert (last - first).total_seconds() == (period.end - period.start) // SECOND - 1


@pytest.mark.parametrize(
    ("length", "step"),
    [
        (3600, 3),
        (86_400, 60),
        (30 * 86_400, 1800),
        (7 * 86_400, 420),
        (90 * 60, 4),
        (67 * 60, 3),
        (1447 * 60, 1447),
        (1, 1),
    ],
)
def test_a_window_moves_in_steps(length: int, step: int) -> None:
    assert Rolling(length * SECOND).step_ns == step * SECOND


@pytest.mark.parametrize("length", [0, -1, SECOND - 1, 3600 * SECOND + 1])
def test_a_window_has_whole_seconds(length: int) -> None:
    with pytest.raises(ValueError, match="are not whole seconds"):
        Rolling(length)


@given(st.integers(60, 366 * 24 * 60), INSTANTS)
def test_a_window_ends_with_the_step_of_now(minutes: int, now: int) -> None:
    rolling = Rolling(minutes * 60 * SECOND)
    window = rolling.window(now)
    assert now in window
    assert window.end - window.start == rolling.length_ns
    assert rolling.bucket(now) <= now < rolling.bucket(now) + rolling.step_ns == window.end
    assert rolling.bucket(window.start) == window.start  # so it holds whole steps only
    assert rolling.window(window.end).start == window.start + rolling.step_ns
    assert 1440 * rolling.step_ns >= rolling.length_ns


@pytest.mark.parametrize("schedule", [calendar("day", "Europe/Berlin"), calendar("month"), WINDOW])
def test_every_kind_of_schedule_counts_in_slots(schedule: Schedule) -> None:
    now = ns("2026-03-29T12:34:56")
    slot, tracked = schedule.slot(now), schedule.tracked(now)
    assert now in slot
    assert schedule.countable(now, now) == slot.start
    assert schedule.countable(slot.start - 400 * 24 * HOUR, now) is None, "long over"
    assert schedule.countable(now + 70 * 24 * HOUR, now) is None, "not soon to come"
    assert slot.start in tracked
    assert schedule.slot(tracked[0]).start == tracked[0]
    assert schedule.before(schedule.current(now)).end == schedule.current(now).start
    assert {schedule.recent(now, None)[0], schedule.recent(now, now - HOUR)[-1]} == {tracked[0], tracked[-1]}


def test_a_part_of_each_kind_is_made_by_its_schedule() -> None:
    kinds = [schedule.dispatch(lambda _: "calendar", lambda _: "rolling") for schedule in (calendar("day"), WINDOW)]
    assert kinds == ["calendar", "rolling"]
    assert [calendar("day").renews, WINDOW.renews] == [True, False]
    assert [calendar("day", "Asia/Tokyo").zone_name, WINDOW.zone_name] == ["Asia/Tokyo", "UTC"]
    assert calendar("day").limit_text("day", "tomorrow") == "until tomorrow"
    assert WINDOW.limit_text("24h", "tomorrow") == "in the last 24h"
