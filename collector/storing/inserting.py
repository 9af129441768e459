"""Inserts that are repeated until they succeed, and smaller where the store refuses rows or lacks the memory."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from collector.errors import Rejected
from collector.model.clock import Clock
from collector.spool import Segment
from collector.store.client import Store
from collector.store.errors import OutOfMemory
from collector.store.writer import Insert, TableRows, by_day
from collector.storing.decoding import Decoded
from collector.storing.poison import Poison
from collector.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Inserter:
    """`split` holds the tokens of inserts that were halved, for as long as their segment is tried."""

    store: Callable[[], Store]
    split: set[str]
    poison: Poison
    clock: Clock
    metrics: Metrics

    def insert_by_day(self, insert: Insert, rows: TableRows, decoded: Decoded) -> None:
        table = decoded.path.table
        times = [batch.column(table.time) for batch in decoded.batches]
        for day, part, positions in by_day(rows, times):
            self._insert(insert, part, positions, decoded, table.token(decoded.segment.id, day))

    def _insert(self, insert: Insert, rows: TableRows, positions: Sequence[int], decoded: Decoded, token: str) -> None:
        """Insert rows; when the store refuses the data itself, halve them until the poison is alone.

        Rows that are too many for the store's memory are halved likewise.

        The halves depend on the rows only, so a repetition uses the same tokens. Rows once halved stay halved, also
        after a restart: should the store take them whole later, the halves it has already would be stored again.
        """
        if token not in self.split:
            started = self.clock.monotonic()
            try:
                insert(self.store(), rows, token)
            except Rejected as error:
                if rows.num_rows == 1:
                    name, envelope = decoded.poison(positions[0], error)
                    self.poison.set_aside(name, error, envelope)
                    return
                self._split(decoded.segment, token)
            except OutOfMemory:
                if rows.num_rows == 1:
                    raise
                self._split(decoded.segment, token)
            else:
                self.metrics.inserts.inc()
                self.metrics.insert_seconds.observe(self.clock.monotonic() - started)
                return
        table, half = pa.Table.from_batches(rows.to_batches()), rows.num_rows // 2
        self._insert(insert, table.slice(0, half), positions[:half], decoded, f"{token}.0")
        self._insert(insert, table.slice(half), positions[half:], decoded, f"{token}.1")

    def _split(self, segment: Segment, token: str) -> None:
        self.split.add(token)
        with contextlib.suppress(OSError):  # a full disk must not keep the spool from getting smaller
            segment.note_split(token)
