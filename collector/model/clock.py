"""Time as a dependency, so that tests own it."""

import time
from datetime import UTC, datetime
from typing import Protocol

from collector import RELEASED
from collector.errors import StartError


class Clock(Protocol):
    def time_ns(self) -> int:
        """Unix time in nanoseconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""


class SteadyClock:
    """Unix time as it was at first, and what has passed since: for deadlines, which a wall clock that is set moves.

    Its times are compared with its own only. Those of another process were made from another first time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.time_ns() - int(clock.monotonic() * 1e9)

    def time_ns(self) -> int:
        """Nanoseconds; never goes back."""
        return self._offset + int(self._clock.monotonic() * 1e9)


class SystemClock:
    """The machine's clocks."""

    def time_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


def refuse_early_clock(clock: Clock) -> None:
    """Raises StartError for a clock that is before the day of this version.

    What is received is dated by it, and the store deletes what is older than its TTL: once the clock is right, what
    came meanwhile would be deleted.
    """
    released = datetime.fromisoformat(RELEASED).replace(tzinfo=UTC)
    now = datetime.fromtimestamp(clock.time_ns() // 10**9, UTC)
    if now < released:
        raise StartError(
            f"The clock of this machine says {now:%Y-%m-%d %H:%M} UTC, and this version is of {released:%Y-%m-%d}: it "
            "must be wrong, and spans would be deleted too early. Set it right, and start again."
        )
