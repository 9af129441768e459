"""The tables that rows of each signal go to."""

import functools
from dataclasses import dataclass
from typing import Final

from collector.model.columns import LOW_TEXT, SPAN_COLUMNS, Column
from collector.model.envelope import Signal


@dataclass(frozen=True)
class Table:
    """A table of one signal.

    `time` is the column whose UTC day is the partition. `token_prefix` keeps the deduplication tokens of a segment's
    inserts into this table apart from those into others. `retention` are the tables that `store.ttl` applies to, each
    with the time it counts from.
    """

    name: str
    columns: tuple[Column, ...]
    time: str
    token_prefix: str
    retention: tuple[tuple[str, str], ...]

    def token(self, segment_id: str, day: str) -> str:
        """The deduplication token of the rows of one day of a segment: the same after any crash."""
        return f"{segment_id}/{self.token_prefix}{day}"

    @functools.cached_property
    def low_columns(self) -> frozenset[str]:
        """Columns whose values ClickHouse keeps as a dictionary."""
        return frozenset(column.name for column in self.columns if column.clickhouse == LOW_TEXT)

    @functools.cached_property
    def low_keys(self) -> frozenset[str]:
        """Map columns whose keys ClickHouse keeps as a dictionary."""
        return frozenset(column.name for column in self.columns if column.clickhouse.startswith(f"Map({LOW_TEXT}"))


SPANS: Final = Table(
    name="otel_traces",
    columns=SPAN_COLUMNS,
    time="Timestamp",
    token_prefix="",  # as it was before there were other signals: segments begun then are finished under their tokens
    retention=(("otel_traces", "ReceivedAt"), ("otel_traces_trace_id_ts", "ReceivedAt")),
)

TABLES: Final = {Signal.TRACES: SPANS}
