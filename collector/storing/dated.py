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


@dataclass(frozen=True, slots=True)
class DatedRows:
    """Rows that are ready to be inserted; their times are as sent, also those far from receipt."""

    table: Table
    rows: pa.Table
    stored: Counter

    @classmethod
    def of(
        cls, table: Table, limits: TimeLimits, stored: Counter
    ) -> Callable[[Store, Sequence[pa.RecordBatch]], "DatedRows"]:
        """The function that makes these rows of decoded batches, and counts them in `stored` once they are."""

        def dated(_: Store, batches: Sequence[pa.RecordBatch]) -> DatedRows:
            return cls(table, pa.Table.from_batches([_with_day(table, batch, limits) for batch in batches]), stored)

        return dated

    def by_day(self) -> Iterator[tuple[str, TableRows, Sequence[int]]]:
        return by_number(self.rows, self.rows.column(DAY).cast(pa.int32()))

    @contextmanager
    def inserting(self, *, again: bool) -> Iterator[Insert]:  # noqa: ARG002 - nothing else depends on these rows
        yield lambda store, rows, token: insert_rows(store, self.table, rows, token)
        self.stored.inc(self.rows.num_rows)


def _with_day(table: Table, batch: pa.RecordBatch, limits: TimeLimits) -> pa.RecordBatch:
    days = limits.days(batch.column(table.time), batch.column(table.arrival))
    return batch.append_column(pa.field(DAY, pa.date32()), days)
