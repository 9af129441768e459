"""Rows of logs and metrics on their way into the store: as they were sent, with the day of their partition."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from prometheus_client import Counter

from collector.store.client import Store
from collector.store.tables import Table
from collector.store.writer import Insert, TableRows, by_number, insert_rows
from collector.storing.times import TimeLimits

DAY = "Day"

# What follows from rows of logs or metrics once they are stored.
Follow = Callable[[Store, Sequence[pa.RecordBatch]], None]


def each(*follows: Follow) -> Follow:
    """One after the other."""

    def follow(store: Store, batches: Sequence[pa.RecordBatch]) -> None:
        for one in follows:
            one(store, batches)

    return follow


def nothing(_: Store, __: Sequence[pa.RecordBatch]) -> None:
    """Nothing follows."""


@dataclass(frozen=True, slots=True)
class DatedRows:
    """Rows that are ready to be inserted; their times are as sent, also those far from receipt."""

    table: Table
    rows: pa.Table
    stored: Counter
    store: Store
    follow: Follow

    @classmethod
    def of(
        cls, table: Table, limits: TimeLimits, stored: Counter, follow: Follow = nothing
    ) -> Callable[[Store, Sequence[pa.RecordBatch]], "DatedRows"]:
        """The function that makes these rows of decoded batches, and counts them in `stored` once they are.

        `follow` is then called with their batches, and may be so again after a crash.
        """

        def dated(store: Store, batches: Sequence[pa.RecordBatch]) -> DatedRows:
            rows = pa.Table.from_batches([_with_day(table, batch, limits) for batch in batches])
            return cls(table, rows, stored, store, follow)

        return dated

    def by_day(self) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
        return by_number(self.rows, self.rows.column(DAY).cast(pa.int32()))

    @contextmanager
    def inserting(self, *, again: bool) -> Iterator[Insert]:  # noqa: ARG002 - nothing else depends on these rows
        yield lambda store, rows, token: insert_rows(store, self.table, rows, token)
        self.follow(self.store, self.rows.to_batches())
        self.stored.inc(self.rows.num_rows)


def _with_day(table: Table, batch: pa.RecordBatch, limits: TimeLimits) -> pa.RecordBatch:
    days = limits.days(batch.column(table.time), batch.column(table.arrival))
    return batch.append_column(pa.field(DAY, pa.date32()), days)
