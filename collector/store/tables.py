"""The tables that rows of each signal go to."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from collector.model.columns import LOW_TEXT, SPAN_COLUMNS, Column
from collector.model.envelope import Signal
from collector.model.evaluation_rows import EVALUATION_COLUMNS, TABLE
from collector.model.log_columns import LOG_COLUMNS
from collector.model.metric_columns import METRIC_COLUMNS, MetricKind


@dataclass(frozen=True)
class Table:
    """A table of one signal.

    `time` is the column whose UTC day is the partition (where there is a column `Day`, that one has it), `arrival` that
    of when a row was received, and `attributes` that of its attributes. `token_prefix` keeps the deduplication tokens
    of a segment's inserts into this table apart from those into others. `retention` are the tables that the TTL of the
    signal applies to, each with the time it counts from.
    """

    name: str
    columns: tuple[Column, ...]
    time: str
    arrival: str
    attributes: str
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
    arrival="ReceivedAt",
    attributes="SpanAttributes",
    token_prefix="",  # as it was before there were other signals: segments begun then are finished under their tokens
    retention=(
        ("otel_traces", "ReceivedAt"),
        ("otel_traces_trace_id_ts", "ReceivedAt"),
        ("run_sums", "LastReceived"),
    ),
)

LOGS: Final = Table(
    name="otel_logs",
    columns=LOG_COLUMNS,
    time="Timestamp",
    arrival="ReceivedAt",
    attributes="LogAttributes",
    token_prefix="logs/",  # noqa: S106 - no secret
    retention=(("otel_logs", "ReceivedAt"),),
)


def _points(kind: MetricKind) -> Table:
    name = f"otel_metrics_{kind}"
    return Table(
        name=name,
        columns=METRIC_COLUMNS[kind],
        time="TimeUnix",
        arrival="ReceivedAt",
        attributes="Attributes",
        token_prefix=f"metrics/{kind}/",
        retention=((name, "ReceivedAt"),),
    )


POINTS: Final[Mapping[MetricKind, Table]] = {kind: _points(kind) for kind in MetricKind}

# Rows that the daemon makes itself, of what was sent before.
EVALUATIONS: Final = Table(
    name=TABLE,
    columns=EVALUATION_COLUMNS,
    time="At",
    arrival="At",
    attributes="",
    token_prefix="evaluations/",  # noqa: S106 - no secret
    retention=((TABLE, "At"),),
)

TABLES: Final[Mapping[Signal, tuple[Table, ...]]] = {
    Signal.TRACES: (SPANS,),
    Signal.LOGS: (LOGS,),
    Signal.METRICS: tuple(POINTS.values()),
}
