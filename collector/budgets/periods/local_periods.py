"""Hours, days, weeks, months, quarters and years as a time zone's clock shows them, in Unix seconds."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from collector.budgets.periods.local_clock import first_second, midnight, offset_at

_HOUR = 3600


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
class LocalPeriods:
    """Hours, days, weeks (from `week_start`, Monday is 0), months, quarters or years (from `month_day`) of a time zone.

    An hour is one that the local clock shows: it ends early where the clock is changed, and is never longer than 60
    minutes, so that a day of 25 hours has 25.
    """

    kind: PeriodKind
    timezone: ZoneInfo
    week_start: int = 0
    month_day: int = 1

    def around(self, second: int) -> tuple[int, int]:
        """The seconds that bound the period around one."""
        return self._hour(second) if self.kind is PeriodKind.HOUR else self._days(second)

    def _days(self, second: int) -> tuple[int, int]:
        """The seconds that bound the period of whole local days around one."""
        first = self._first_day(datetime.fromtimestamp(second, self.timezone).date())
        start = midnight(first, self.timezone)
        # Where a clock was put back over midnight, its date is that of the period before once more.
        while second < start:
            first = self._first_day(first - timedelta(days=1))
            start = midnight(first, self.timezone)
        while True:
            first = self._next(first)
            end = midnight(first, self.timezone)
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
        offset = offset_at(second, zone)
        start = second - (second + offset) % _HOUR
        end = start + _HOUR
        if offset_at(start, zone) != offset:
            start = first_second(lambda at: offset_at(at, zone) == offset, start, second)
        if offset_at(end - 1, zone) != offset:
            end = first_second(lambda at: offset_at(at, zone) != offset, second, end - 1)
        return start, end
