"""Inserts that are repeated until they succeed, and smaller where the store refuses rows or lacks the memory."""

import contextlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from collector.errors import Reason, Rejected
from collector.model.clock import Clock
from collector.spool import Segment
from collector.store.client import Store
from collector.store.errors import OutOfMemory
from collector.store.writer import Insert, TableRows
from collector.storing.decoding import Decoded
from collector.storing.paths import ReadyRows
from collector.storing.poison import Poison
from collector.telemetry import Metrics

# A row may be too large only because queries or merges have the memory just then. One of a few kilobytes never is: then
# the store has no memory at all, and the row waits for as long as that takes.
_MAX_STARVED = 6
_LARGE_ROW = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows with their positions as decoded, which ascend, and the range that these are of."""

    rows: TableRows
    positions: Sequence[int]
    span: range

    @property
    def num_rows(self) -> int:
        return self.rows.num_rows

    def halves(self) -> tuple["_Rows", "_Rows"]:
        """The rows of either half of the range."""
        table, half = pa.Table.from_batches(self.rows.to_batches()), len(self.span) // 2
        at = bisect_left(self.positions, self.span[half])
        return (
            _Rows(table.slice(0, at), self.positions[:at], self.span[:half]),
            _Rows(table.slice(at), self.positions[at:], self.span[half:]),
        )


@dataclass(frozen=True, slots=True)
class Inserter:
    """`split` holds the tokens of inserts that were halved, for as long as their segment is tried, and `starved` how
    often a row alone was too large for the store's memory.
    """

    store: Callable[[], Store]
    split: set[str]
    starved: Counter[str]
    poison: Poison
    clock: Clock
    metrics: Metrics

    def insert_by_day(self, insert: Insert, rows: ReadyRows, decoded: Decoded) -> None:
        for day, part, positions in rows.by_day():
            token = decoded.path.table.token(decoded.name, day)
            self._insert(insert, _Rows(part, positions, range(decoded.rows)), decoded, token)

    def _insert(self, insert: Insert, rows: "_Rows", decoded: Decoded, token: str) -> None:
        """Insert rows; when the store refuses the data itself, halve them until the poison is alone.

        Rows that are too many for the store's memory are halved likewise.

        The halves depend on the rows' positions only, so a repetition uses the same tokens. Rows once halved stay
        halved, also after a restart: should the store take them whole later, the halves it has already would be stored
        again.
        """
        if not rows.num_rows:
            return
        if token not in self.split:
            started = self.clock.monotonic()
            try:
                insert(self.store(), rows.rows, token)
            except Rejected as error:
                if rows.num_rows == 1:
                    self._set_aside(decoded, rows.positions[0], error)
                    return
                self._split(decoded.segment, token)
            except OutOfMemory as error:
                if rows.num_rows == 1:
                    self.starved[token] += 1
                    if self.starved[token] < _MAX_STARVED or _bytes(rows.rows) < _LARGE_ROW:
                        raise
                    self._set_aside(decoded, rows.positions[0], _too_large(rows.rows, error))
                    return
                self._split(decoded.segment, token)
            else:
                self.metrics.inserts.inc()
                self.metrics.insert_seconds.observe(self.clock.monotonic() - started)
                return
        first, second = rows.halves()
        self._insert(insert, first, decoded, f"{token}.0")
        self._insert(insert, second, decoded, f"{token}.1")

    def _set_aside(self, decoded: Decoded, position: int, error: Rejected) -> None:
        name, envelope = decoded.poison(position, error)
        self.poison.set_aside(name, error, envelope)

    def _split(self, segment: Segment, token: str) -> None:
        self.split.add(token)
        with contextlib.suppress(OSError):  # a full disk must not keep the spool from getting smaller
            segment.note_split(token)


def _bytes(rows: TableRows) -> int:
    return sum(batch.nbytes for batch in rows.to_batches())


def _too_large(rows: TableRows, error: OutOfMemory) -> Rejected:
    return Rejected(
        Reason.TOO_LARGE,
        f"The row is {_bytes(rows)} bytes and was too large for the store {_MAX_STARVED} times. {error} "
        "Give the store more memory (embedded: store.max_memory) and run `spanmeter replay`.",
    )
