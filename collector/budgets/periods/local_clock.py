"""What local clocks show, in Unix seconds. They jump: times are left out and come twice."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first second at which the local clock shows the start of `day`, or later."""
    wall = datetime.combine(day, time())
    earliest, latest = sorted(int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    clock = int(wall.replace(tzinfo=UTC).timestamp())
    if earliest + offset_at(earliest, zone) == clock:
        return earliest  # the only time it is shown, or the first
    return first_second(lambda at: at + offset_at(at, zone) >= clock, earliest, latest)


def offset_at(second: int, zone: ZoneInfo) -> int:
    """Seconds by which the local clock is ahead of UTC."""
    ahead = datetime.fromtimestamp(second, zone).utcoffset()
    assert ahead is not None
    return ahead.days * 86_400 + ahead.seconds


def first_second(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first second in [low, high] from which on `holds` is true; it is at `high`."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
