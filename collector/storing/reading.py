"""Reading a segment: what is in it, or that it cannot be read."""

from collections.abc import Iterator
from itertools import islice

from collector.errors import Reason, Unavailable
from collector.model.envelope import Envelope
from collector.spool import Damage, Segment


class Unreadable(Unavailable):
    """The file of a segment cannot be read now; others may be."""


def items(segment: Segment) -> Iterator[Envelope | Damage]:
    """The envelopes and damaged ranges of a segment. Raises Unreadable."""
    try:
        yield from segment.read()
    except OSError as error:
        raise Unreadable(Reason.DISK, f"The segment {segment.path} cannot be read: {error}.") from error


def envelopes(segment: Segment) -> Iterator[Envelope]:
    """The envelopes of a segment in order. Raises Unreadable."""
    return (item for item in items(segment) if isinstance(item, Envelope))


def envelope_at(segment: Segment, number: int) -> Envelope:
    """One envelope by its number. Raises Unreadable."""
    return next(islice(envelopes(segment), number, None))
