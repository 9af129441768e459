"""The envelopes of a segment as rows by signal."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import pyarrow as pa

from collector.errors import Reason, Rejected, Unavailable
from collector.model.envelope import Envelope, Signal
from collector.spool import Damage, Segment
from collector.store.writer import clamp
from collector.storing.paths import SignalPath
from collector.storing.poison import Poison

# Rows are decoded and enriched in parts of about this many bytes: small enough for the processor's caches, and for
# memory to be used again rather than asked for anew. With a server, a segment of the default size is one part.
_PART_BYTES = 16 * 1024 * 1024

# More poison in one segment than this (or a tenth of its rows) stops the drain rather than fill the dead letter.
_POISON_ROWS = 100

# Envelopes of a segment with their numbers in it, all of one signal.
_Part = list[tuple[int, Envelope]]


def decoded(segment: Segment, paths: Mapping[Signal, SignalPath], poison: Poison) -> list["Decoded"]:
    """A segment's rows by signal. Set aside: envelopes that do not decode or whose signal has no path, and damage.

    Raises Unavailable when the segment cannot be read.
    """
    by_signal = {signal: Decoded(segment, path) for signal, path in paths.items()}
    for signal, part in _parts(_readable(segment, paths, poison)):
        _decode_part(by_signal[signal], part, poison)
    return [rows for rows in by_signal.values() if rows.batches]


def _readable(segment: Segment, paths: Mapping[Signal, SignalPath], poison: Poison) -> Iterator[tuple[int, Envelope]]:
    """The envelopes of a segment that have a path, numbered among all; others and damaged bytes are set aside."""
    number = 0
    try:
        for item in segment.read():
            if isinstance(item, Damage):
                poison.set_damage_aside(segment, item)
                continue
            if item.signal in paths:
                yield number, item
            else:
                poison.set_aside(f"{segment.id}-{number}", _no_path(item.signal), item)
            number += 1
    except OSError as error:
        raise Unavailable(Reason.DISK, f"The segment {segment.path} cannot be read: {error}.") from error


def _decode_part(decoded: "Decoded", part: _Part, poison: Poison) -> None:
    """Add the rows of a run of envelopes: in one batch, or in halves where one fails or all are too large."""
    try:
        batch = decoded.path.decode([envelope for _, envelope in part])
    except Rejected as error:
        if len(part) == 1:
            ((number, envelope),) = part
            poison.set_aside(f"{decoded.segment.id}-{number}", error, envelope)
            return
    else:
        decoded.add(part, batch)
        return
    half = len(part) // 2
    _decode_part(decoded, part[:half], poison)
    _decode_part(decoded, part[half:], poison)


def _no_path(signal: Signal) -> Rejected:
    return Rejected(
        Reason.SIGNAL, f"This version does not store {signal}. Run `spanmeter replay` with a version that does."
    )


def _parts(envelopes: Iterable[tuple[int, Envelope]]) -> Iterator[tuple[Signal, _Part]]:
    """Runs of envelopes of one signal, of `_PART_BYTES` and no more than it takes to get there."""
    parts: dict[Signal, _Part] = {}
    sizes: dict[Signal, int] = {}
    for entry in envelopes:
        envelope = entry[1]
        signal = envelope.signal
        parts.setdefault(signal, []).append(entry)
        sizes[signal] = size = sizes.get(signal, 0) + len(envelope.payload)
        if size >= _PART_BYTES:
            yield signal, parts.pop(signal)
            del sizes[signal]
    yield from parts.items()


class Decoded:
    """The rows of one signal of a segment, where they came from, and how many of them may turn out to be poison."""

    def __init__(self, segment: Segment, path: SignalPath) -> None:
        self.segment = segment
        self.path = path
        self.batches: list[pa.RecordBatch] = []
        self.clamped = 0
        self._numbers: list[int] = []
        self._ends: list[int] = []
        self._poison = 0

    @property
    def rows(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, part: _Part, batch: pa.RecordBatch) -> None:
        """Append the rows of the next envelopes."""
        for number, envelope in part:
            self._numbers.append(number)
            self._ends.append(self.rows + envelope.items)
        if batch.num_rows:
            within, moved = clamp(self.path.table, batch)
            self.batches.append(within)
            self.clamped += moved

    def poison(self, position: int, error: Rejected) -> tuple[str, Envelope]:
        """A stable name for the row at `position`, and an envelope with it alone.

        Raises Unavailable when too many rows of one segment are refused: then the table is at fault, not the data.
        """
        if self._poison >= max(_POISON_ROWS, self.rows // 10):
            raise Unavailable(
                Reason.DEAD_LETTER_FULL,
                f"The store refuses too many rows of segment {self.segment.id}, the last one because: {error} "
                "Draining stops here until the cause is repaired; new requests are still spooled.",
            )
        self._poison += 1
        place = bisect_right(self._ends, position)
        number, row = self._numbers[place], position - (self._ends[place - 1] if place else 0)
        whole = (item for item in self.segment.read() if isinstance(item, Envelope))
        return f"{self.segment.id}-{number}-{row}", self.path.one_item(next(islice(whole, number, None)), row)
