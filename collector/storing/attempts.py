"""How much of a segment is stored at once: less of what a process has ended at, so that none ends at it for ever.

A segment is one part. After `_MAX_ATTEMPTS` attempts that never ended, each of its sixteenths is one, and of a part at
which an attempt ended again, each sixteenth of that. What ends attempts as the only envelope of its part is given up.
"""

import contextlib
from collections.abc import Iterator

from collector.errors import SpanmeterError
from collector.spool import Segment
from collector.storing.reading import envelopes

_MAX_ATTEMPTS = 3  # of a whole segment: most deaths of a process have nothing to do with what it was storing
_MAX_ATTEMPTS_ALONE = 2
_DIVISOR = 16

# All envelopes of a segment, however many.
WHOLE = range(2**62)


class Attempts:
    """The attempts at one segment: those of processes that ended meanwhile, and those a defect or lack of memory ended.

    Attempts that end because the store, the disk or the rows are not as they should be do not count.
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._unended = segment.attempts()
        self._current: range | None = None

    def parts(self) -> Iterator[range]:
        """Ranges of envelopes to store one after the other. Raises Unreadable."""
        if self._unended[WHOLE] < _MAX_ATTEMPTS:
            yield WHOLE
        else:
            yield from self._divided(range(max(1, sum(1 for _ in envelopes(self._segment)))))

    def _divided(self, part: range) -> Iterator[range]:
        size = max(1, -(-len(part) // _DIVISOR))
        for begin in range(part.start, part.stop, size):
            smaller = range(begin, min(begin + size, part.stop))
            if size > 1 and self._unended[smaller]:
                yield from self._divided(smaller)
            else:
                yield smaller

    def suspected(self, part: range) -> bool:
        """Whether `part` is a single envelope that has ended an attempt."""
        return len(part) == 1 and self._unended[part] > 0

    def exhausted(self, part: range) -> bool:
        """Whether `part` is a single envelope that has ended too many attempts."""
        return len(part) == 1 and self._unended[part] >= _MAX_ATTEMPTS_ALONE

    @contextlib.contextmanager
    def attempt(self, part: range) -> Iterator[None]:
        """The context to store a part in."""
        self._note(part, begun=True)
        self._current = part
        try:
            yield
        except SpanmeterError:
            self.excuse()
            raise
        self.excuse()

    def excuse(self) -> None:
        """Do not count the attempt under way."""
        if self._current is not None:
            part, self._current = self._current, None
            self._note(part, begun=False)

    def _note(self, part: range, *, begun: bool) -> None:
        with contextlib.suppress(OSError):  # a full disk must not keep the spool from getting smaller
            self._segment.note_attempt(part, begun=begun)
