"""Byte ranges (RFC 9110, Range): one range of a text, as browsers and curl ask for it."""

import re
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\Z")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`first` and `last` are bytes, both included; with `suffix` instead the last so many."""

    first: int = 0
    last: int | None = None
    suffix: int | None = None

    def of(self, size: int) -> tuple[int, int] | None:
        """Where the range begins in a text of `size` bytes, and how long it is; None when it has none of it."""
        if self.suffix is not None:
            length = min(self.suffix, size)
            return (size - length, length) if length else None
        if self.first >= size:
            return None
        last = size - 1 if self.last is None else min(self.last, size - 1)
        return self.first, last - self.first + 1


def wanted_range(header: str) -> Wanted | None:
    """What a Range header asks for; None for none, several, and what is no range: all of it is answered then."""
    found = _RANGE.match(header.strip())
    if not found:
        return None
    if found[3]:
        return Wanted(suffix=int(found[3]))
    first, last = int(found[1]), int(found[2]) if found[2] else None
    return None if last is not None and last < first else Wanted(first, last)
