"""The envelopes of a segment as rows by signal."""

import functools
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

import pyarrow as pa

from collector.errors import Reason, Rejected, Unavailable
from collector.model.envelope import Envelope, Signal
from collector.spool import Damage, Segment
from collector.storing.attempts import WHOLE
from collector.storing.paths import SignalPath, TablePath
from collector.storing.poison import Poison
from collector.storing.reading import envelope_at, envelopes, items
from collector.storing.times import DaysKept, Moved

# Rows are decoded and enriched in parts of about this many bytes: small enough for the processor's caches, and for
# memory to be used again rather than asked for anew. With a server, a segment of the default size is one part.
_PART_BYTES = 16 * 1024 * 1024
# A row takes memory however few bytes it has.
_PART_ROWS = 50_000

# More poison in one segment than this (or a tenth of its rows) stops the drain rather than fill the dead letter.
_POISON_ROWS = 100

# Envelopes of a segment with their numbers in it, all of one signal.
_Part = list[tuple[int, Envelope]]


def decoded(
    segment: Segment, paths: Mapping[Signal, SignalPath], poison: Poison, old_days: DaysKept, numbers: range = WHOLE
) -> list["Decoded"]:
    """The rows by table of the envelopes of these numbers in a segment.

    Set aside: envelopes that do not decode or whose signal has no path, and damage. Raises Unreadable and Unavailable.
    """
    by_signal = {
        signal: [Decoded(segment, table, old_days, numbers) for table in path.tables] for signal, path in paths.items()
    }
    for signal, part in _parts(_readable(segment, paths, poison, numbers)):
        _decode_part(segment, paths[signal], by_signal[signal], part, poison)
    return [rows for tables in by_signal.values() for rows in tables if rows.batches]


def _readable(
    segment: Segment, paths: Mapping[Signal, SignalPath], poison: Poison, numbers: range
) -> Iterator[tuple[int, Envelope]]:
    """The envelopes of these numbers that have a path; others and damaged bytes are set aside."""
    number = 0
    for item in items(segment):
        if isinstance(item, Damage):
            if max(number - 1, 0) in numbers:
                poison.set_damage_aside(segment, item)
            continue
        if number >= numbers.stop:
            return
        if number in numbers:
            if item.signal in paths:
                yield number, item
            else:
                poison.set_aside(f"{segment.id}-{number}", _no_path(item.signal), item)
        number += 1


def _decode_part(segment: Segment, path: SignalPath, tables: list["Decoded"], part: _Part, poison: Poison) -> None:
    """Add the rows of a run of envelopes: in one batch a table, or in halves where one fails or all are too large."""
    try:
        batches = path.decode([envelope for _, envelope in part])
    except Rejected as error:
        if len(part) == 1:
            ((number, envelope),) = part
            poison.set_aside(f"{segment.id}-{number}", error, envelope)
            return
    else:
        for decoded, batch in zip(tables, batches, strict=True):
            decoded.add(part, batch)
        return
    half = len(part) // 2
    _decode_part(segment, path, tables, part[:half], poison)
    _decode_part(segment, path, tables, part[half:], poison)


def _no_path(signal: Signal) -> Rejected:
    return Rejected(
        Reason.SIGNAL, f"This version does not store {signal}. Run `spanmeter replay` with a version that does."
    )


def _parts(envelopes: Iterable[tuple[int, Envelope]]) -> Iterator[tuple[Signal, _Part]]:
    """Runs of envelopes of one signal, of `_PART_BYTES` or `_PART_ROWS` and no more than it takes to get there."""
    parts: dict[Signal, _Part] = {}
    sizes: dict[Signal, float] = {}
    for entry in envelopes:
        envelope = entry[1]
        signal = envelope.signal
        parts.setdefault(signal, []).append(entry)
        share = max(len(envelope.payload) / _PART_BYTES, envelope.items / _PART_ROWS)
        sizes[signal] = size = sizes.get(signal, 0.0) + share
        if size >= 1:
            yield signal, parts.pop(signal)
            del sizes[signal]
    yield from parts.items()


class Decoded:
    """The rows of a segment for one table, where they came from, and how many of them may turn out to be poison."""

    def __init__(self, segment: Segment, path: TablePath, old_days: DaysKept, numbers: range = WHOLE) -> None:
        """`name` tells these envelopes from others of all segments."""
        self.segment = segment
        self.name = segment.id if numbers == WHOLE else f"{segment.id}.{numbers.start}-{numbers.stop}"
        self.path = path
        self.batches: list[pa.RecordBatch] = []
        self.rows = 0
        self.moved = Moved(0, 0)
        self._old_days = old_days
        self._numbers: list[int] = []
        self._poison = 0

    def add(self, part: _Part, batch: pa.RecordBatch) -> None:
        """Append the rows of the next envelopes."""
        self._numbers += [number for number, _ in part]
        self.rows += batch.num_rows
        if batch.num_rows:
            self.batches.append(self._within_limits(batch))

    def _within_limits(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.path.limits is None:
            return batch
        kept, moved = self.path.limits.kept(self.path.table, batch, self._old_days)
        self.moved = Moved(self.moved.ahead + moved.ahead, self.moved.old + moved.old)
        return kept

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
        name = f"{self.segment.id}-{self.path.table.token_prefix.replace('/', '-')}{number}-{row}"
        return name, self.path.one_item(envelope_at(self.segment, number), row)

    @functools.cached_property
    def _ends(self) -> list[int]:
        """How many rows there are up to each envelope, itself included."""
        wanted = set(self._numbers)
        counts = (self.path.rows(item) for number, item in enumerate(envelopes(self.segment)) if number in wanted)
        return list(accumulate(counts))
