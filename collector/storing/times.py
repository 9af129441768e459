"""Starts far from their arrival: a part a day must not be made of a broken clock, or of one meant to break."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from collector.model.columns import DAY_NS, EARLIEST_NS, LATEST_NS, NANOSECONDS, START_ATTRIBUTE, TEXT
from collector.store.tables import Table

_Times = NDArray[np.int64]

# Of old days of a table, those that keep their rows; `OldDays.kept`.
DaysKept = Callable[[Table, Iterable[int], int], Collection[int]]


class Moved(NamedTuple):
    """How many rows of a batch were moved: those dated ahead to their arrival, old ones to the first day."""

    ahead: int
    old: int


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far in nanoseconds a start may lie after and before the arrival."""

    max_future: int
    max_age: int

    @classmethod
    def of_seconds(cls, max_future: float, max_age: float) -> "TimeLimits":
        return cls(int(max_future * 1e9), int(max_age * 1e9))

    def kept(self, table: Table, batch: pa.RecordBatch, old_days: DaysKept) -> tuple[pa.RecordBatch, Moved]:
        """`batch` with every start within the limits; the starts of rows that were moved are in START_ATTRIBUTE.

        Rows dated ahead are stored at their arrival, so that what they cost counts now. Old ones whose day `old_days`
        does not keep are stored on 1970-01-01, at their time of day: one partition, in which spans of a trace keep
        their order. Raises Unavailable.
        """
        starts, arrivals = (_nanoseconds(batch, name) for name in (table.time, table.arrival))
        ahead = starts > np.minimum(arrivals + self.max_future, LATEST_NS)
        old = (starts < arrivals - self.max_age) & (starts >= EARLIEST_NS + DAY_NS)
        if old.any():
            days = starts // DAY_NS
            before = int(arrivals.max() - self.max_age) // DAY_NS + 1
            old &= ~np.isin(days, list(old_days(table, np.unique(days[old]).tolist(), before)))
        moved = Moved(int(ahead.sum()), int(old.sum()))
        if not any(moved):
            return batch, moved
        times = np.where(ahead, np.clip(arrivals, EARLIEST_NS, LATEST_NS), np.where(old, starts % DAY_NS, starts))
        position = batch.schema.get_field_index(table.time)
        noted = _noted(table, batch, starts, (ahead & (starts <= LATEST_NS)) | old)  # decoding has noted later ones
        return noted.set_column(position, batch.schema.field(position), pa.array(times, NANOSECONDS)), moved

    def days(self, starts: pa.Array, arrivals: pa.Array) -> pa.Array:
        """The UTC day of each start, for rows that keep it; the first day for all that lie beyond the limits."""
        times, received = (np.asarray(column.cast(pa.int64())) for column in (starts, arrivals))
        kept = (times >= received - self.max_age) & (times <= np.minimum(received + self.max_future, LATEST_NS))
        return pa.array(np.where(kept, times // DAY_NS, 0).astype(np.int32), pa.int32()).cast(pa.date32())


# All that the table holds.
ANY_TIME = TimeLimits(2**62, 2**62)


def _nanoseconds(batch: pa.RecordBatch, name: str) -> _Times:
    return np.asarray(batch.column(name).cast(pa.int64()))


def _noted(table: Table, batch: pa.RecordBatch, starts: _Times, rows: NDArray[np.bool_]) -> pa.RecordBatch:
    """`batch` with the starts of `rows` among their attributes."""
    column = batch.column(table.attributes)
    offsets = np.asarray(column.offsets)
    names = pa.array([START_ATTRIBUTE] * int(rows.sum()), TEXT)
    ends = offsets[1:][rows]
    attributes = pa.MapArray.from_arrays(
        pa.array(offsets + np.concatenate(([0], np.cumsum(rows))), pa.int32()),
        _inserted(column.keys, ends, names),
        _inserted(column.items, ends, pa.array(starts[rows]).cast(TEXT)),
    )
    position = batch.schema.get_field_index(table.attributes)
    return batch.set_column(position, batch.schema.field(position), attributes)


def _inserted(texts: pa.Array, places: NDArray[np.int32], more: pa.Array) -> pa.Array:
    """`texts` with those of `more` before the places given, which ascend."""
    order = np.insert(np.arange(len(texts)), places, len(texts) + np.arange(len(more)))
    return pa.concat_arrays([texts, more]).take(pa.array(order))
