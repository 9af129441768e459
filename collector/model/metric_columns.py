"""The column catalogues of the five tables of metric points, as `columns.py` is that of `otel_traces`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import pyarrow as pa

from collector.model.columns import CH_MAP, LOW_TEXT, MAP, NANOSECONDS, TEXT, Column


class MetricKind(StrEnum):
    """The kinds of metrics; values are the fields of a Metric, and the last parts of tables' names."""

    GAUGE = "gauge"
    SUM = "sum"
    HISTOGRAM = "histogram"
    EXPONENTIAL_HISTOGRAM = "exponential_histogram"
    SUMMARY = "summary"


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind)


_DOUBLE, _COUNTS = pa.float64(), _list(pa.uint64())

# Names, order and types of the OpenTelemetry Collector's ClickHouse exporter, up to our own columns.
_HEAD = (
    Column("ResourceAttributes", MAP, CH_MAP, "Attributes of the resource."),
    Column("ResourceSchemaUrl", TEXT, "String", "Schema URL of the resource."),
    Column("ScopeName", TEXT, "String", "Name of the instrumentation scope."),
    Column("ScopeVersion", TEXT, "String", "Version of the instrumentation scope."),
    Column("ScopeAttributes", MAP, CH_MAP, "Attributes of the instrumentation scope."),
    Column("ScopeDroppedAttrCount", pa.uint32(), "UInt32", "Attributes of the scope that the SDK dropped."),
    Column("ScopeSchemaUrl", TEXT, "String", "Schema URL of the scope."),
    Column("ServiceName", TEXT, LOW_TEXT, "Resource attribute service.name."),
    Column("MetricName", TEXT, "String", "Name of the metric."),
    Column("MetricDescription", TEXT, "String", "Description of the metric."),
    Column("MetricUnit", TEXT, "String", "Unit of the metric, in UCUM."),
    Column("Attributes", MAP, CH_MAP, "Attributes of the point, values as text."),
    Column(
        "StartTimeUnix", NANOSECONDS, "DateTime64(9)", "Since when the point counts, UTC; 1970-01-01 when not said."
    ),
    Column("TimeUnix", NANOSECONDS, "DateTime64(9)", "When the point was taken, UTC."),
)
_FLAGS = Column("Flags", pa.uint32(), "UInt32", "Bit 0: no value was recorded.")
_VALUE = Column("Value", _DOUBLE, "Float64", "The value, integers too; 0 where there is none.")
_EXEMPLARS = (
    Column("Exemplars.FilteredAttributes", _list(MAP), f"Array({CH_MAP})", "Attributes of each exemplar."),
    Column("Exemplars.TimeUnix", _list(NANOSECONDS), "Array(DateTime64(9))", "When each exemplar was recorded."),
    Column("Exemplars.Value", _list(_DOUBLE), "Array(Float64)", "Value of each exemplar."),
    Column("Exemplars.SpanId", _list(TEXT), "Array(String)", "Span of each exemplar, lower-case hex; empty for none."),
    Column(
        "Exemplars.TraceId", _list(TEXT), "Array(String)", "Trace of each exemplar, lower-case hex; empty for none."
    ),
)
_TEMPORALITY = Column("AggregationTemporality", pa.int32(), "Int32", "1 delta, 2 cumulative, 0 not said.")
_COUNT = Column("Count", pa.uint64(), "UInt64", "Number of values.")
_SUM = Column("Sum", _DOUBLE, "Float64", "Sum of the values; 0 when not said.")
_MIN_MAX = (
    Column("Min", _DOUBLE, "Float64", "Smallest value; 0 when not said."),
    Column("Max", _DOUBLE, "Float64", "Largest value; 0 when not said."),
)

_BODIES: Final[Mapping[MetricKind, tuple[Column, ...]]] = {
    MetricKind.GAUGE: (_VALUE, _FLAGS, *_EXEMPLARS),
    MetricKind.SUM: (
        _VALUE,
        _FLAGS,
        *_EXEMPLARS,
        _TEMPORALITY,
        Column("IsMonotonic", pa.bool_(), "Bool", "Whether the sum only grows."),
    ),
    MetricKind.HISTOGRAM: (
        _COUNT,
        _SUM,
        Column("BucketCounts", _COUNTS, "Array(UInt64)", "Number of values in each bucket."),
        Column("ExplicitBounds", _list(_DOUBLE), "Array(Float64)", "Upper bound of each bucket but the last."),
        *_EXEMPLARS,
        _FLAGS,
        *_MIN_MAX,
        _TEMPORALITY,
    ),
    MetricKind.EXPONENTIAL_HISTOGRAM: (
        _COUNT,
        _SUM,
        Column("Scale", pa.int32(), "Int32", "Resolution: bounds are powers of 2^(2^-Scale)."),
        Column("ZeroCount", pa.uint64(), "UInt64", "Number of values that are zero."),
        Column("PositiveOffset", pa.int32(), "Int32", "Number of the first positive bucket."),
        Column("PositiveBucketCounts", _COUNTS, "Array(UInt64)", "Number of values in each positive bucket."),
        Column("NegativeOffset", pa.int32(), "Int32", "Number of the first negative bucket."),
        Column("NegativeBucketCounts", _COUNTS, "Array(UInt64)", "Number of values in each negative bucket."),
        *_EXEMPLARS,
        _FLAGS,
        *_MIN_MAX,
        _TEMPORALITY,
    ),
    MetricKind.SUMMARY: (
        _COUNT,
        _SUM,
        Column("ValueAtQuantiles.Quantile", _list(_DOUBLE), "Array(Float64)", "Each quantile, from 0 to 1."),
        Column("ValueAtQuantiles.Value", _list(_DOUBLE), "Array(Float64)", "The value at each quantile."),
        _FLAGS,
    ),
}

_TAIL = (
    Column("Project", TEXT, LOW_TEXT, "Project of the token that sent the point; `default` without auth."),
    Column("ReceivedAt", NANOSECONDS, "DateTime64(9)", "When the export request was made durable, UTC."),
    Column(
        "Series",
        pa.uint64(),
        "UInt64",
        "Fingerprint of project, resource, scope, name, unit, kind, temporality and attributes.",
    ),
    Column("RowKey", pa.uint64(), "UInt64", "Fingerprint of the point, and of its number among equals in the request."),
    Column(
        "Day",
        pa.date32(),
        "Date",
        "Partition: the UTC day of TimeUnix; 1970-01-01 when that is too far from ReceivedAt.",
        decoded=False,
    ),
)

METRIC_COLUMNS: Final[Mapping[MetricKind, tuple[Column, ...]]] = {
    kind: (*_HEAD, *body, *_TAIL) for kind, body in _BODIES.items()
}

# What `decode_metrics` produces: every batch of a kind has exactly these, in this order.
METRIC_SCHEMAS: Final[Mapping[MetricKind, pa.Schema]] = {
    kind: pa.schema([pa.field(c.name, c.arrow) for c in columns if c.decoded])
    for kind, columns in METRIC_COLUMNS.items()
}
