"""When a budget's period starts and ends: calendar periods of a time zone, and rolling windows.

Instants are Unix nanoseconds. Local clocks jump: a period starts at the first instant at which its local clock shows
the start or later, so a midnight that is left out is the instant after the gap, and of one that comes twice it is the
first. Consecutive periods share their boundary.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_SECOND = 1_000_000_000
_HOUR = 3600
_DAY_NS = 86_400 * _SECOND
_STEPS = 1440
# Most spans of a batch are of the current period, late ones of a few before it.
_REMEMBERED = 8


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """From `start` up to, and without, `end`."""

    start: int
    end: int

    def __contains__(self, ns: int) -> bool:
        return self.start <= ns < self.end


class PeriodKind(StrEnum):
    """A calendar period."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_MONTHS = {PeriodKind.MONTH: 1, PeriodKind.QUARTER: 3, PeriodKind.YEAR: 12}


@dataclass(frozen=True, slots=True)
class Calendar:
    """Hours, days, weeks (from `week_start`, Monday is 0), months, quarters or years (from `month_day`) of a time zone.

    An hour is one that the local clock shows: it ends early where the clock is changed, and is never longer than 60
    minutes, so that a day of 25 hours has 25.
    """

    kind: PeriodKind
    timezone: ZoneInfo
    week_start: int = 0
    month_day: int = 1
    _recent: list[Period] = field(default_factory=list, init=False, repr=False, compare=False)

    def at(self, ns: int) -> Period:
        """The period that holds an instant."""
        for period in self._recent:
            if period.start <= ns < period.end:
                return period
        second = ns // _SECOND
        start, end = self._hour(second) if self.kind is PeriodKind.HOUR else self._days(second)
        period = Period(start * _SECOND, end * _SECOND)
        # Replaced in one step: other threads read it.
        self._recent[:] = [period, *self._recent[: _REMEMBERED - 1]]
        return period

    def before(self, period: Period) -> Period:
        return self.at(period.start - 1)

    def after(self, period: Period) -> Period:
        return self.at(period.end)

    def _days(self, second: int) -> tuple[int, int]:
        """The seconds that bound the period of whole local days around one."""
        first = self._first_day(datetime.fromtimestamp(second, self.timezone).date())
        start = _midnight(first, self.timezone)
        # Where a clock was put back over midnight, its date is that of the period before once more.
        while second < start:
            first = self._first_day(first - timedelta(days=1))
            start = _midnight(first, self.timezone)
        while True:
            first = self._next(first)
            end = _midnight(first, self.timezone)
            if second < end:
                return start, end
            start = end

    def _first_day(self, day: date) -> date:
        if self.kind is PeriodKind.DAY:
            return day
        if self.kind is PeriodKind.WEEK:
            return day - timedelta(days=(day.weekday() - self.week_start) % 7)
        months = day.year * 12 + day.month - 1 - (day.day < self.month_day)
        return self._month(months - months % _MONTHS[self.kind])

    def _next(self, first: date) -> date:
        if self.kind is PeriodKind.DAY or self.kind is PeriodKind.WEEK:
            return first + timedelta(days=1 if self.kind is PeriodKind.DAY else 7)
        return self._month(first.year * 12 + first.month - 1 + _MONTHS[self.kind])

    def _month(self, months: int) -> date:
        return date(months // 12, months % 12 + 1, self.month_day)

    def _hour(self, second: int) -> tuple[int, int]:
        """The seconds that bound the local clock's hour around one."""
        zone = self.timezone
        offset = _offset(second, zone)
        start = second - (second + offset) % _HOUR
        end = start + _HOUR
        if _offset(start, zone) != offset:
            start = _first(lambda at: _offset(at, zone) == offset, start, second)
        if _offset(end - 1, zone) != offset:
            end = _first(lambda at: _offset(at, zone) != offset, second, end - 1)
        return start, end


@dataclass(frozen=True, slots=True)
class Rolling:
    """The last `length_ns` (whole seconds), which move on in steps of at least 1/1440 of it that divide it evenly.

    `memory_ns` is for how long it is known after which step a window held how much: a day, but no longer than a window.
    """

    length_ns: int
    step_ns: int = field(init=False)
    memory_ns: int = field(init=False)

    def __post_init__(self) -> None:
        seconds, rest = divmod(self.length_ns, _SECOND)
        if rest or seconds < 1:
            raise ValueError(f"{self.length_ns} ns are not whole seconds")
        step = -(-seconds // _STEPS)
        while seconds % step:
            step += 1
        object.__setattr__(self, "step_ns", step * _SECOND)
        object.__setattr__(self, "memory_ns", min(self.length_ns, _DAY_NS - _DAY_NS % self.step_ns))

    def bucket(self, ns: int) -> int:
        """The start of the step that holds an instant."""
        return ns - ns % self.step_ns

    def window(self, now_ns: int) -> Period:
        """The window that ends with the step of `now_ns`."""
        end = self.bucket(now_ns) + self.step_ns
        return Period(end - self.length_ns, end)

    def kept(self, now_ns: int) -> Period:
        """The steps of all windows of the last `memory_ns`."""
        window = self.window(now_ns)
        return Period(window.start - self.memory_ns, window.end)


Schedule = Calendar | Rolling


def _midnight(day: date, zone: ZoneInfo) -> int:
    """The first second at which the local clock shows the start of `day`, or later."""
    wall = datetime.combine(day, time())
    earliest, latest = sorted(int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    clock = int(wall.replace(tzinfo=UTC).timestamp())
    if earliest + _offset(earliest, zone) == clock:
        return earliest  # the only time it is shown, or the first
    return _first(lambda at: at + _offset(at, zone) >= clock, earliest, latest)


def _offset(second: int, zone: ZoneInfo) -> int:
    """Seconds by which the local clock is ahead of UTC."""
    offset = datetime.fromtimestamp(second, zone).utcoffset()
    assert offset is not None
    return offset.days * 86_400 + offset.seconds


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first second in [low, high] from which on `holds` is true; it is at `high`."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
