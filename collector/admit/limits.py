"""How many request bytes may be in memory at once, all clients together, and how much one request may have.

What callers hold before anyone knows who they are has a share of its own, so that it keeps nobody out who has a token.
"""

from dataclasses import dataclass
from typing import Self

from collector.errors import Reason, Unavailable

_UNKNOWN_PART = 8
_MIN_UNKNOWN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LimitsStatistics:
    in_flight_bytes: int
    max_in_flight_bytes: int


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How much one request may have: items are spans, log records or data points, elements all that is in it."""

    max_items: int = 50_000
    max_elements: int = 1_000_000


class Reservation:
    """The bytes one request holds; grows as its body arrives. As a context manager it gives them back at the end."""

    __slots__ = ("_limits", "size")

    def __init__(self, limits: "Limits") -> None:
        self._limits = limits
        self.size = 0

    def grow_to(self, size: int) -> None:
        """Hold at least `size` bytes. Raises Unavailable(BUSY) when that many are not available now."""
        if size > self.size:
            self._limits.take(size - self.size, self.size)
            self.size = size

    def hand_over(self) -> "Reservation":
        """Another reservation with all that this one holds."""
        other = Reservation(self._limits)
        other.size, self.size = self.size, 0
        return other

    def resize(self, size: int) -> None:
        """Hold `size` bytes. Raises Unavailable(BUSY) as `grow_to` does, and holds what it held."""
        if size < self.size:
            self._limits.give_back(self.size - size)
            self.size = size
        else:
            self.grow_to(size)

    def release(self) -> None:
        """Give back what is held. Calling it again changes nothing."""
        self._limits.give_back(self.size)
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Limits:
    """The byte budget of requests in flight. Not thread-safe: it belongs to the event loop."""

    def __init__(self, max_in_flight_bytes: int) -> None:
        self._max = max_in_flight_bytes
        self._held = 0

    def reserve(self, size: int = 0) -> Reservation:
        """A reservation of `size` bytes, held until it is released. Raises Unavailable(BUSY)."""
        reservation = Reservation(self)
        reservation.grow_to(size)
        return reservation

    def for_unknown(self) -> "Limits":
        """A budget of their own for callers who have not been asked for a token, an eighth as much again."""
        return Limits(max(_MIN_UNKNOWN_BYTES, self._max // _UNKNOWN_PART))

    def give_back(self, size: int) -> None:
        """End the hold of `size` bytes."""
        self._held -= size

    def take(self, size: int, own: int) -> None:
        """Hold `size` bytes more for a request that has `own` already. Raises Unavailable(BUSY)."""
        # A single request larger than the whole budget must not wait for ever: it passes when it is alone.
        if self._held > own and self._held + size > self._max:
            raise Unavailable(
                Reason.BUSY, f"The server holds {self._held} bytes of requests already; send again in a moment."
            )
        self._held += size

    def statistics(self) -> LimitsStatistics:
        return LimitsStatistics(self._held, self._max)
