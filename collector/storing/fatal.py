"""Requests that end every attempt at storing them go to the dead letter, unless everything ends so."""

from collector.errors import Reason, Rejected
from collector.spool import Segment
from collector.storing.poison import Poison
from collector.storing.reading import envelope_at

# When nothing was stored between so many, the cause lies elsewhere: they are tried again for ever.
_MAX_IN_A_ROW = 3

_WHY = Rejected(
    Reason.FATAL,
    "The process ended, or failed for a reason of its own, each time it stored this request, the last times alone. "
    "Look at the log and at the memory it may use, then run `spanmeter replay`.",
)


class FatalRequests:
    """Those of the segment at hand. Belongs to the drain's thread."""

    def __init__(self, poison: Poison) -> None:
        self._poison = poison
        self._set_aside: set[str] = set()
        self._in_a_row = 0

    def stored(self) -> None:
        """Some part of a segment was stored: what is not, is not for want of everything."""
        self._in_a_row = 0

    def done(self) -> None:
        """The segment is stored."""
        self._set_aside.clear()

    def is_set_aside(self, segment: Segment, part: range) -> bool:
        """Whether the only envelope of a part is set aside, now or by an earlier attempt. Raises Unavailable."""
        name = f"{segment.id}-{part.start}"
        if name not in self._set_aside and self._in_a_row < _MAX_IN_A_ROW:
            self._poison.set_aside(name, _WHY, envelope_at(segment, part.start))
            self._set_aside.add(name)
            self._in_a_row += 1
        return name in self._set_aside
