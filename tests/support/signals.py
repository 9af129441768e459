"""Export requests of logs and metrics for tests about what happens to them."""

from collections.abc import Iterable, Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1 import metrics_pb2

from collector.model.envelope import Envelope, Signal
from tests.support.otlp import any_value, attributes
from tests.support.spans import START_NS

# The library's types know its enums' names only.
wire: Any = metrics_pb2


def record(body: Any = "line", attrs: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), **fields: Any) -> Any:
    """A log record; `fields` override."""
    plain = {"time_unix_nano": START_NS, "severity_number": 9, **fields}
    return LogRecord(body=any_value(body), attributes=attributes(attrs), **plain)


def log_request(*records: Any, resource: Mapping[str, Any] | None = None) -> Any:
    """One ExportLogsServiceRequest with one resource and one scope."""
    message: Any = ExportLogsServiceRequest()
    resource_logs = message.resource_logs.add()
    resource_logs.resource.attributes.extend(attributes(resource or {"service.name": "signals-test"}))
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = "scope"
    scope_logs.log_records.extend(records)
    return message


def log_envelope(bodies: Iterable[Any], *, received_at: int = START_NS, project: str = "default") -> Envelope:
    """An accepted request with a record for each body."""
    records = [record(body) for body in bodies]
    payload = log_request(*records).SerializeToString()
    return Envelope(project, received_at, len(records), payload, signal=Signal.LOGS)


def metric_request(*metrics: Any, resource: Mapping[str, Any] | None = None) -> Any:
    """One ExportMetricsServiceRequest with one resource and one scope."""
    message: Any = ExportMetricsServiceRequest()
    resource_metrics = message.resource_metrics.add()
    resource_metrics.resource.attributes.extend(attributes(resource or {"service.name": "signals-test"}))
    scope_metrics = resource_metrics.scope_metrics.add()
    scope_metrics.scope.name = "scope"
    scope_metrics.metrics.extend(metrics)
    return message


def metric_envelope(*metrics: Any, received_at: int = START_NS, project: str = "default") -> Envelope:
    """An accepted request; its items are not counted."""
    payload = metric_request(*metrics).SerializeToString()
    return Envelope(project, received_at, 1, payload, signal=Signal.METRICS)


def number(value: float | None = 1.5, attrs: Mapping[str, Any] = {}, **fields: Any) -> Any:
    """A point of a gauge or sum; `fields` override."""
    plain = {"time_unix_nano": START_NS, **fields}
    if value is not None:
        plain["as_int" if isinstance(value, int) else "as_double"] = value
    return wire.NumberDataPoint(attributes=attributes(attrs), **plain)


def gauge(*points: Any, name: str = "g", **fields: Any) -> Any:
    return wire.Metric(name=name, gauge=wire.Gauge(data_points=points), **fields)


def total(*points: Any, name: str = "s", temporality: int = 2, monotonic: bool = True, **fields: Any) -> Any:
    """A sum."""
    data = wire.Sum(data_points=points, aggregation_temporality=temporality, is_monotonic=monotonic)
    return wire.Metric(name=name, sum=data, **fields)


def histogram(*points: Any, name: str = "h", temporality: int = 2, **fields: Any) -> Any:
    return wire.Metric(
        name=name, histogram=wire.Histogram(data_points=points, aggregation_temporality=temporality), **fields
    )


def buckets(counts: Iterable[int] = (1, 2), bounds: Iterable[float] = (0.5,), **fields: Any) -> Any:
    """A point of a histogram; `fields` override."""
    counted = list(counts)
    plain = {"time_unix_nano": START_NS, "count": sum(counted), **fields}
    return wire.HistogramDataPoint(bucket_counts=counted, explicit_bounds=bounds, **plain)


def one_of_each(attrs: Mapping[str, Any] = {}, **fields: Any) -> list[Any]:
    """A metric of each kind with one point."""
    pairs = attributes(attrs)
    exponential = wire.ExponentialHistogramDataPoint(
        attributes=pairs, time_unix_nano=START_NS, count=6, sum=2.5, scale=-2, zero_count=1, min=-1, max=2, **fields
    )
    exponential.positive.offset, exponential.negative.offset = -3, 4
    exponential.positive.bucket_counts.extend([1, 2])
    exponential.negative.bucket_counts.extend([2])
    summary = wire.SummaryDataPoint(attributes=pairs, time_unix_nano=START_NS, count=4, sum=12.5, **fields)
    summary.quantile_values.add(quantile=0.5, value=2.5)
    return [
        gauge(number(-1.25, attrs, **fields)),
        total(number(7, attrs, **fields)),
        histogram(buckets(attributes=pairs, sum=4.0, **fields)),
        wire.Metric(
            name="e",
            exponential_histogram=wire.ExponentialHistogram(data_points=[exponential], aggregation_temporality=1),
        ),
        wire.Metric(name="q", summary=wire.Summary(data_points=[summary])),
    ]
