"""Hypothesis strategies for OTLP messages: everything the wire can say about an item, in small."""

import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.support.otlp import any_value

texts = st.text(st.characters(codec="utf-8"), max_size=8)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1])
doubles = st.floats(width=64, allow_nan=False) | st.just(math.nan)  # JSON has one NaN, whatever its bits
enums = st.integers(-1, 7) | st.sampled_from([-(2**31), 2**31 - 1])

_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | doubles | st.binary(max_size=6) | texts
_plain = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
_indexes = st.integers(-(2**31), 2**31 - 1).map(lambda index: AnyValue(string_value_strindex=index))
values = _plain.map(any_value) | _indexes
pairs = st.builds(KeyValue, key=texts, value=values) | st.builds(KeyValue, key=texts)
attribute_lists = st.lists(pairs, max_size=3)

trace_ids = st.binary(min_size=16, max_size=16) | st.sampled_from(
    [b"", bytes(16), bytes(8), b"\x01" * 15, b"\x01" * 17]
)
span_ids = st.binary(min_size=8, max_size=8) | st.sampled_from([b"", bytes(8), bytes(16), b"\x01" * 7, b"\x01" * 9])

events = st.builds(
    Span.Event, time_unix_nano=uint64, name=texts, attributes=attribute_lists, dropped_attributes_count=uint32
)
links = st.builds(
    Span.Link,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_state=texts,
    attributes=attribute_lists,
    flags=uint32,
    dropped_attributes_count=uint32,
)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    trace_state=texts,
    flags=uint32,
    name=texts,
    kind=enums,
    start_time_unix_nano=uint64,
    end_time_unix_nano=uint64,
    attributes=attribute_lists,
    dropped_attributes_count=uint32,
    events=st.lists(events, max_size=2),
    dropped_events_count=uint32,
    links=st.lists(links, max_size=2),
    dropped_links_count=uint32,
    status=st.builds(Status, code=enums, message=texts),
)
_resource_spans = st.builds(
    ResourceSpans,
    resource=st.builds(Resource, attributes=attribute_lists, dropped_attributes_count=uint32),
    scope_spans=st.lists(
        st.builds(
            ScopeSpans,
            scope=st.builds(
                InstrumentationScope,
                name=texts,
                version=texts,
                attributes=attribute_lists,
                dropped_attributes_count=uint32,
            ),
            spans=st.lists(spans, max_size=2),
            schema_url=texts,
        ),
        max_size=2,
    ),
    schema_url=texts,
)
requests: st.SearchStrategy[Any] = st.builds(
    ExportTraceServiceRequest, resource_spans=st.lists(_resource_spans, max_size=2)
)

log_records = st.builds(
    LogRecord,
    time_unix_nano=uint64,
    observed_time_unix_nano=uint64,
    severity_number=enums,
    severity_text=texts,
    body=values,
    attributes=attribute_lists,
    dropped_attributes_count=uint32,
    flags=uint32,
    trace_id=trace_ids,
    span_id=span_ids,
    event_name=texts,
)
_resource_logs = st.builds(
    ResourceLogs,
    resource=st.builds(Resource, attributes=attribute_lists, dropped_attributes_count=uint32),
    scope_logs=st.lists(
        st.builds(
            ScopeLogs,
            scope=st.builds(InstrumentationScope, name=texts, version=texts, attributes=attribute_lists),
            log_records=st.lists(log_records, max_size=2),
            schema_url=texts,
        ),
        max_size=2,
    ),
    schema_url=texts,
)
log_requests: st.SearchStrategy[Any] = st.builds(
    ExportLogsServiceRequest, resource_logs=st.lists(_resource_logs, max_size=2)
)

_counts = st.lists(uint64, max_size=3)
_sizes = st.lists(doubles, max_size=3)
_int32 = st.integers(-(2**31), 2**31 - 1)
_temporalities = st.integers(0, 3) | st.sampled_from([-1, -(2**31), 2**31 - 1])
_points = {
    "attributes": attribute_lists,
    "start_time_unix_nano": uint64,
    "time_unix_nano": uint64,
    "flags": uint32,
}


def _with_number(message: Any, **fields: Any) -> st.SearchStrategy[Any]:
    """A message whose value is a double, an integer or not there."""
    return (
        st.builds(message, as_double=doubles, **fields)
        | st.builds(message, as_int=st.integers(-(2**63), 2**63 - 1), **fields)
        | st.builds(message, **fields)
    )


_exemplars = st.lists(
    _with_number(
        metrics_pb2.Exemplar,
        filtered_attributes=attribute_lists,
        time_unix_nano=uint64,
        span_id=span_ids,
        trace_id=trace_ids,
    ),
    max_size=2,
)
_optional = {name: st.none() | doubles for name in ("sum", "min", "max")}
_numbers = st.lists(_with_number(metrics_pb2.NumberDataPoint, exemplars=_exemplars, **_points), max_size=2)
_histograms = st.lists(
    st.builds(
        metrics_pb2.HistogramDataPoint,
        count=uint64,
        bucket_counts=_counts,
        explicit_bounds=_sizes,
        exemplars=_exemplars,
        **_optional,
        **_points,
    ),
    max_size=2,
)
_buckets = st.none() | st.builds(
    metrics_pb2.ExponentialHistogramDataPoint.Buckets, offset=_int32, bucket_counts=_counts
)
_exponentials = st.lists(
    st.builds(
        metrics_pb2.ExponentialHistogramDataPoint,
        count=uint64,
        scale=_int32,
        zero_count=uint64,
        zero_threshold=doubles,
        positive=_buckets,
        negative=_buckets,
        exemplars=_exemplars,
        **_optional,
        **_points,
    ),
    max_size=2,
)
_quantiles = st.builds(metrics_pb2.SummaryDataPoint.ValueAtQuantile, quantile=doubles, value=doubles)
_summaries = st.lists(
    st.builds(
        metrics_pb2.SummaryDataPoint,
        count=uint64,
        sum=doubles,
        quantile_values=st.lists(_quantiles, max_size=2),
        **_points,
    ),
    max_size=2,
)
_data: list[dict[str, st.SearchStrategy[Any]]] = [
    {},
    {"gauge": st.builds(metrics_pb2.Gauge, data_points=_numbers)},
    {
        "sum": st.builds(
            metrics_pb2.Sum,
            data_points=_numbers,
            aggregation_temporality=_temporalities,
            is_monotonic=st.booleans(),
        )
    },
    {"histogram": st.builds(metrics_pb2.Histogram, data_points=_histograms, aggregation_temporality=_temporalities)},
    {
        "exponential_histogram": st.builds(
            metrics_pb2.ExponentialHistogram, data_points=_exponentials, aggregation_temporality=_temporalities
        )
    },
    {"summary": st.builds(metrics_pb2.Summary, data_points=_summaries)},
]
_metrics = st.one_of(
    [
        st.builds(metrics_pb2.Metric, name=texts, description=texts, unit=texts, metadata=attribute_lists, **data)
        for data in _data
    ]
)
_resource_metrics = st.builds(
    metrics_pb2.ResourceMetrics,
    resource=st.builds(Resource, attributes=attribute_lists, dropped_attributes_count=uint32),
    scope_metrics=st.lists(
        st.builds(
            metrics_pb2.ScopeMetrics,
            scope=st.builds(
                InstrumentationScope,
                name=texts,
                version=texts,
                attributes=attribute_lists,
                dropped_attributes_count=uint32,
            ),
            metrics=st.lists(_metrics, max_size=3),
            schema_url=texts,
        ),
        max_size=2,
    ),
    schema_url=texts,
)
metric_requests: st.SearchStrategy[Any] = st.builds(
    ExportMetricsServiceRequest, resource_metrics=st.lists(_resource_metrics, max_size=2)
)
