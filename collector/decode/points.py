"""The reference implementation of `decode_metrics`, on protobuf messages: what any faster one must equal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from collector.decode import fingerprint
from collector.decode.builder import ListColumn, MapListColumn
from collector.decode.fingerprint import Ordinals
from collector.decode.groups import GroupedRows, capped, group_fingerprint, id_text, keep_only
from collector.model.columns import NANOSECONDS, TEXT
from collector.model.envelope import Envelope, Signal
from collector.model.metric_columns import METRIC_SCHEMAS, MetricKind
from collector.wire.otlp import REQUESTS, parse_checked

# Field numbers of Metric: a part of what identifies a series.
_NUMBERS = dict(zip(MetricKind, (5, 7, 9, 10, 11), strict=True))
_EXEMPLARS = {"TimeUnix": NANOSECONDS, "Value": pa.float64(), "SpanId": TEXT, "TraceId": TEXT}


def decode_metrics(envelopes: Sequence[Envelope]) -> list[pa.RecordBatch]:
    """One row per data point, in the order sent: a batch for each MetricKind, with the columns of its METRIC_SCHEMAS.

    Times beyond int64 become its maximum. Raises Rejected when an envelope's payload does not decode.
    """
    tables = {kind: _PointRows(kind) for kind in MetricKind}
    for envelope in envelopes:
        ordinals = Ordinals()
        for group in _groups(envelope):
            for metric in group.scope_metrics.metrics:
                if kind := metric.WhichOneof("data"):
                    tables[MetricKind(kind)].add(group, metric, getattr(metric, kind), ordinals)
    return [rows.batch() for rows in tables.values()]


def one_point(kind: MetricKind, envelope: Envelope, row: int) -> Envelope:
    """An envelope that holds only the point which `decode_metrics([envelope])` puts in `row` of the batch of `kind`.

    Raises IndexError.
    """
    request = parse_checked(REQUESTS[Signal.METRICS], envelope.payload)
    places = [
        (resource, scope, number, position)
        for resource, resource_metrics in enumerate(request.resource_metrics)
        for scope, scope_metrics in enumerate(resource_metrics.scope_metrics)
        for number, metric in enumerate(scope_metrics.metrics)
        if metric.WhichOneof("data") == kind
        for position in range(len(getattr(metric, kind).data_points))
    ]
    resource, scope, number, position = places[row]
    keep_only(request.resource_metrics, resource)
    keep_only(request.resource_metrics[0].scope_metrics, scope)
    keep_only(request.resource_metrics[0].scope_metrics[0].metrics, number)
    keep_only(getattr(request.resource_metrics[0].scope_metrics[0].metrics[0], kind).data_points, position)
    return Envelope(envelope.project, envelope.received_at, 1, request.SerializeToString(), signal=envelope.signal)


def points_in(kind: MetricKind, envelope: Envelope) -> int:
    """The number of rows of the batch of `kind` that `decode_metrics([envelope])` makes."""
    return sum(
        len(getattr(metric, kind).data_points)
        for group in _groups(envelope)
        for metric in group.scope_metrics.metrics
        if metric.WhichOneof("data") == kind
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """The metrics of one scope, and what they share."""

    envelope: Envelope
    resource_metrics: Any
    scope_metrics: Any
    fingerprint: int


def _groups(envelope: Envelope) -> Iterator[_Group]:
    for resource_metrics in parse_checked(REQUESTS[Signal.METRICS], envelope.payload).resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            if scope_metrics.metrics:
                group = group_fingerprint(envelope, resource_metrics, scope_metrics)
                yield _Group(envelope, resource_metrics, scope_metrics, group)


class _PointRows:
    """The rows of one kind while they grow."""

    def __init__(self, kind: MetricKind) -> None:
        self._kind = kind
        self._rows = GroupedRows(METRIC_SCHEMAS[kind], ["Attributes"])
        self._exemplars: dict[str, ListColumn] = {}
        if kind is not MetricKind.SUMMARY:
            self._exemplars = {name: ListColumn(type_) for name, type_ in _EXEMPLARS.items()}
            self._filtered = MapListColumn()
            self._rows.nested["Exemplars.FilteredAttributes"] = self._filtered
            self._rows.nested |= {f"Exemplars.{name}": column for name, column in self._exemplars.items()}

    def add(self, group: _Group, metric: Any, data: Any, ordinals: Ordinals) -> None:
        points = data.data_points
        if not points:
            return
        self._rows.share(group.envelope, group.resource_metrics, group.scope_metrics, len(points))
        shared = {
            "ScopeDroppedAttrCount": group.scope_metrics.scope.dropped_attributes_count,
            "MetricName": metric.name,
            "MetricDescription": metric.description,
            "MetricUnit": metric.unit,
            **{name: read(data) for name, read in _OF_METRIC.get(self._kind, {}).items()},
        }
        for name, value in shared.items():
            self._rows.column(name).extend([value] * len(points))
        series = _series(group, self._kind, metric, data)
        rest = fingerprint.words(shared["ScopeDroppedAttrCount"], fingerprint.text(metric.description))
        for point in points:
            self._add_point(point, series, rest, ordinals)

    def _add_point(self, point: Any, of_metric: int, rest: int, ordinals: Ordinals) -> None:
        series = fingerprint.words(of_metric, fingerprint.attributes(point.attributes))
        content, own = _POINTS[self._kind](point)
        exemplars = self._add_exemplars(point.exemplars) if self._exemplars else 0
        times = point.start_time_unix_nano, point.time_unix_nano
        identity = fingerprint.words(series, rest, *times, point.flags, content, exemplars)
        own |= {
            "StartTimeUnix": capped(point.start_time_unix_nano),
            "TimeUnix": capped(point.time_unix_nano),
            "Flags": point.flags,
            "Series": series,
            "RowKey": ordinals.row_key(identity),
        }
        self._rows.nested["Attributes"].append(point.attributes)
        for name, value in own.items():
            self._rows.column(name).append(value)

    def _add_exemplars(self, exemplars: Any) -> int:
        """Their fingerprint."""
        found = []
        for exemplar in exemplars:
            kind, value = _number(exemplar)
            self._filtered.maps.append(exemplar.filtered_attributes)
            row = {
                "TimeUnix": capped(exemplar.time_unix_nano),
                "Value": float(value),
                "SpanId": id_text(exemplar.span_id, 8),
                "TraceId": id_text(exemplar.trace_id, 16),
            }
            for name, column in self._exemplars.items():
                column.values.append(row[name])
            found.append(
                fingerprint.words(
                    exemplar.time_unix_nano,
                    kind,
                    fingerprint.xxh64(exemplar.span_id),
                    fingerprint.xxh64(exemplar.trace_id),
                    fingerprint.attributes(exemplar.filtered_attributes),
                )
            )
        self._filtered.close()
        for column in self._exemplars.values():
            column.close()
        return fingerprint.words(*found)

    def batch(self) -> pa.RecordBatch:
        return self._rows.batch()


def _series(group: _Group, kind: MetricKind, metric: Any, data: Any) -> int:
    """The fingerprint of what the series of a metric have in common."""
    return fingerprint.words(
        group.fingerprint,
        fingerprint.text(metric.name),
        fingerprint.text(metric.unit),
        _NUMBERS[kind],
        *(int(read(data)) for read in _OF_METRIC.get(kind, {}).values()),
    )


_TEMPORALITY: Mapping[str, Callable[[Any], Any]] = {"AggregationTemporality": lambda data: data.aggregation_temporality}
_OF_METRIC: Mapping[MetricKind, Mapping[str, Callable[[Any], Any]]] = {
    MetricKind.SUM: {**_TEMPORALITY, "IsMonotonic": lambda data: data.is_monotonic},
    MetricKind.HISTOGRAM: _TEMPORALITY,
    MetricKind.EXPONENTIAL_HISTOGRAM: _TEMPORALITY,
}

# A point's fingerprint of what its kind alone has, and the columns for it.
_Point = tuple[int, dict[str, Any]]


def _number(message: Any) -> tuple[int, float | int]:
    """The fingerprint of a value that is an integer, a double or not there, and the value."""
    kind = message.WhichOneof("value")
    if kind == "as_int":
        return fingerprint.words(message.as_int, seed=1), message.as_int
    if kind == "as_double":
        return fingerprint.words(fingerprint.double(message.as_double), seed=2), message.as_double
    return fingerprint.words(), 0.0


def _number_point(point: Any) -> _Point:
    found, value = _number(point)
    return found, {"Value": float(value)}


def _optional(point: Any, name: str) -> int:
    """The fingerprint of a double that may be absent."""
    return fingerprint.words(fingerprint.double(getattr(point, name))) if point.HasField(name) else 0


def _doubles(numbers: Sequence[float]) -> int:
    return fingerprint.words(*map(fingerprint.double, numbers))


def _histogram_point(point: Any) -> _Point:
    found = fingerprint.words(
        point.count,
        *(_optional(point, name) for name in ("sum", "min", "max")),
        fingerprint.words(*point.bucket_counts),
        _doubles(point.explicit_bounds),
    )
    own = {"BucketCounts": list(point.bucket_counts), "ExplicitBounds": list(point.explicit_bounds)}
    return found, {"Count": point.count, "Sum": point.sum, "Min": point.min, "Max": point.max, **own}


def _exponential_point(point: Any) -> _Point:
    found = fingerprint.words(
        point.count,
        *(_optional(point, name) for name in ("sum", "min", "max")),
        point.scale,
        point.zero_count,
        fingerprint.double(point.zero_threshold),
        point.positive.offset,
        fingerprint.words(*point.positive.bucket_counts),
        point.negative.offset,
        fingerprint.words(*point.negative.bucket_counts),
    )
    return found, {
        "Count": point.count,
        "Sum": point.sum,
        "Min": point.min,
        "Max": point.max,
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "PositiveOffset": point.positive.offset,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def _summary_point(point: Any) -> _Point:
    quantiles = [item.quantile for item in point.quantile_values]
    values = [item.value for item in point.quantile_values]
    found = fingerprint.words(point.count, fingerprint.double(point.sum), _doubles(quantiles), _doubles(values))
    own = {"ValueAtQuantiles.Quantile": quantiles, "ValueAtQuantiles.Value": values}
    return found, {"Count": point.count, "Sum": point.sum, **own}


_POINTS: Mapping[MetricKind, Callable[[Any], _Point]] = {
    MetricKind.GAUGE: _number_point,
    MetricKind.SUM: _number_point,
    MetricKind.HISTOGRAM: _histogram_point,
    MetricKind.EXPONENTIAL_HISTOGRAM: _exponential_point,
    MetricKind.SUMMARY: _summary_point,
}
