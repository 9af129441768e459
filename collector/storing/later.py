"""Segments that are passed over until they are due again, so that those behind them are stored meanwhile."""

from collector.model.clock import Clock


class Later:
    """When to look again at segments that cannot be read, and at those with requests to try later; by id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._unreadable: dict[str, float] = {}  # monotonic
        self._postponed: dict[str, float] = {}

    @property
    def unreadable(self) -> int:
        """How many segments could not be read when they were last looked at."""
        return len(self._unreadable)

    def cannot_be_read(self, segment: str, seconds: float) -> None:
        self._unreadable[segment] = self._clock.monotonic() + seconds

    def postpone(self, segment: str, seconds: float) -> None:
        self._postponed[segment] = self._clock.monotonic() + seconds

    def forget(self, segment: str) -> None:
        """It is stored."""
        self._unreadable.pop(segment, None)
        self._postponed.pop(segment, None)

    def not_due(self, *, stopping: bool) -> set[str]:
        """What to pass over now. At the end that is all that cannot be read, and none that was only postponed."""
        now = self._clock.monotonic()
        unreadable = {segment for segment, due in self._unreadable.items() if due > now or stopping}
        return unreadable | {segment for segment, due in self._postponed.items() if due > now and not stopping}
