"""Metric points become rows of five tables: what the Collector's exporter writes, and what identifies a point."""

import json
import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from opentelemetry.proto.metrics.v1 import metrics_pb2

from collector.admit import validate
from collector.decode import decode_metrics, one_point, points_in
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Envelope, Signal
from collector.model.metric_columns import METRIC_SCHEMAS, MetricKind
from tests.support import generated
from tests.support.otlp import attributes, json_of
from tests.support.signals import buckets, gauge, histogram, metric_request, number, one_of_each, total
from tests.support.spans import START_NS

COMMON = {
    "ResourceSchemaUrl": "https://example.com/1",
    "ResourceAttributes": [("service.name", "svc")],
    "ScopeName": "scope",
    "ScopeVersion": "1.2",
    "ScopeAttributes": [("sa", "1.5")],
    "ScopeDroppedAttrCount": 3,
    "ScopeSchemaUrl": "https://example.com/2",
    "ServiceName": "svc",
    "MetricDescription": "",
    "MetricUnit": "",
    "Attributes": [("k", "7")],
    "Flags": 1,
    "Project": "team",
}


def envelope_of(message: Any, project: str = "p") -> Envelope:
    return Envelope(project, START_NS, 0, message.SerializeToString(), signal=Signal.METRICS)


def rows(*messages: Any) -> dict[MetricKind, list[dict[str, Any]]]:
    batches = decode_metrics([envelope_of(message) for message in messages])
    return {kind: batch.to_pylist() for kind, batch in zip(MetricKind, batches, strict=True)}


def row(metric: Any) -> dict[str, Any]:
    (found,) = [one for of_kind in rows(metric_request(metric)).values() for one in of_kind]
    return found


def keys(*messages: Any) -> list[int]:
    return [found["RowKey"] for of_kind in rows(*messages).values() for found in of_kind]


def test_every_column_of_every_kind() -> None:
    exemplars = [
        metrics_pb2.Exemplar(
            as_double=0.25,
            time_unix_nano=START_NS - 7,
            trace_id=b"\xab" * 16,
            span_id=b"\xcd" * 8,
            filtered_attributes=attributes({"u": 1}),
        ),
        metrics_pb2.Exemplar(as_int=-4, time_unix_nano=2**64 - 1, trace_id=b"\x01" * 3),
    ]
    metrics = one_of_each({"k": 7}, start_time_unix_nano=START_NS - 1, flags=1)
    for metric in metrics[:4]:
        getattr(metric, metric.WhichOneof("data")).data_points[0].exemplars.extend(exemplars)
    message = metric_request(*metrics, resource={"service.name": "svc"})
    resource = message.resource_metrics[0]
    resource.schema_url = "https://example.com/1"
    scope = resource.scope_metrics[0]
    scope.schema_url, scope.scope.version, scope.scope.dropped_attributes_count = "https://example.com/2", "1.2", 3
    scope.scope.attributes.extend(attributes({"sa": 1.5}))
    batches = decode_metrics([envelope_of(message, "team")])
    assert [batch.schema for batch in batches] == list(METRIC_SCHEMAS.values())
    sampled = {
        "Exemplars.FilteredAttributes": [[("u", "1")], []],
        "Exemplars.Value": [0.25, -4.0],
        "Exemplars.SpanId": ["cd" * 8, ""],
        "Exemplars.TraceId": ["ab" * 16, ""],
    }
    own: dict[MetricKind, dict[str, Any]] = {
        MetricKind.GAUGE: {"MetricName": "g", "Value": -1.25, **sampled},
        MetricKind.SUM: {"MetricName": "s", "Value": 7.0, "AggregationTemporality": 2, "IsMonotonic": True, **sampled},
        MetricKind.HISTOGRAM: {
            "MetricName": "h",
            "Count": 3,
            "Sum": 4.0,
            "BucketCounts": [1, 2],
            "ExplicitBounds": [0.5],
            "Min": 0.0,
            "Max": 0.0,
            "AggregationTemporality": 2,
            **sampled,
        },
        MetricKind.EXPONENTIAL_HISTOGRAM: {
            "MetricName": "e",
            "Count": 6,
            "Sum": 2.5,
            "Scale": -2,
            "ZeroCount": 1,
            "PositiveOffset": -3,
            "PositiveBucketCounts": [1, 2],
            "NegativeOffset": 4,
            "NegativeBucketCounts": [2],
            "Min": -1.0,
            "Max": 2.0,
            "AggregationTemporality": 1,
            **sampled,
        },
        MetricKind.SUMMARY: {
            "MetricName": "q",
            "Count": 4,
            "Sum": 12.5,
            "ValueAtQuantiles.Quantile": [0.5],
            "ValueAtQuantiles.Value": [2.5],
        },
    }
    for kind, batch in zip(MetricKind, batches, strict=True):
        (found,) = batch.to_pylist()
        times = {name: found.pop(name).value for name in ("StartTimeUnix", "TimeUnix", "ReceivedAt")}
        assert times == {"StartTimeUnix": START_NS - 1, "TimeUnix": START_NS, "ReceivedAt": START_NS}
        if kind is not MetricKind.SUMMARY:
            assert [time.value for time in found.pop("Exemplars.TimeUnix")] == [START_NS - 7, 2**63 - 1]
        del found["RowKey"], found["Series"]
        assert found == {**COMMON, **own[kind]}


@pytest.mark.parametrize(
    ("value", "stored"),
    [(None, 0.0), (2**53 + 1, float(2**53)), (-(2**63), -(2.0**63)), (5e-324, 5e-324), (math.inf, math.inf)],
)
def test_values_are_doubles(value: float | None, stored: float) -> None:
    assert row(gauge(number(value)))["Value"] == stored


def test_a_metric_without_data_costs_its_neighbours_nothing() -> None:
    found = rows(metric_request(gauge(number()), metrics_pb2.Metric(name="empty"), total(number())))
    assert [len(of_kind) for of_kind in found.values()] == [1, 1, 0, 0, 0]


def test_equal_points_of_one_request_have_keys_of_their_own() -> None:
    three = metric_request(gauge(number(), number()), gauge(number()))
    assert len(set(keys(three))) == 3
    assert keys(metric_request(gauge(number()))) == keys(three)[:1]


POINT = partial(number, 1, {"k": "1"}, start_time_unix_nano=5)


@pytest.mark.parametrize(
    ("changed", "same_series"),
    [
        (total(POINT(), unit="By", name="other"), False),
        (total(POINT(), unit="s"), False),
        (total(POINT(), unit="By", temporality=1), False),
        (total(POINT(), unit="By", monotonic=False), False),
        (total(number(1, {"k": "2"}, start_time_unix_nano=5), unit="By"), False),
        (total(number(1, {"k": 1}, start_time_unix_nano=5), unit="By"), False),
        (gauge(POINT(), unit="By", name="s"), False),
        (total(POINT(start_time_unix_nano=6), unit="By"), True),
        (total(POINT(time_unix_nano=START_NS + 1), unit="By"), True),
        (total(POINT(flags=1), unit="By"), True),
        (total(number(1.0, {"k": "1"}, start_time_unix_nano=5), unit="By"), True),
        (total(POINT(exemplars=[metrics_pb2.Exemplar()]), unit="By"), True),
        (total(POINT(), unit="By", description="d"), True),
    ],
    ids=range(13),
)
def test_points_that_differ_have_different_keys(changed: Any, same_series: bool) -> None:
    one, other = row(total(POINT(), unit="By")), row(changed)
    assert one["RowKey"] != other["RowKey"]
    assert (one["Series"] == other["Series"]) == same_series


def test_an_absent_value_is_not_a_zero() -> None:
    points = [buckets(), buckets(sum=0.0), buckets(min=0.0), buckets(max=0.0)]
    assert len(set(keys(*[metric_request(histogram(point)) for point in points]))) == 4


@settings(max_examples=100)
@given(generated.metric_requests)
def test_an_encoding_makes_no_difference(message: Any) -> None:
    transcoded = validate.validate(Signal.METRICS, json.dumps(json_of(message)).encode(), Encoding.JSON)
    again = decode_metrics([Envelope("p", START_NS, 0, transcoded.payload, signal=Signal.METRICS)])
    batches = decode_metrics([envelope_of(message)])
    assert [str(batch.to_pylist()) for batch in again] == [str(batch.to_pylist()) for batch in batches]
    assert sum(batch.num_rows for batch in batches) == transcoded.receipt.accepted


@settings(max_examples=50)
@given(generated.metric_requests)
def test_one_point_is_exactly_that_row_but_for_its_number_among_equals(message: Any) -> None:
    whole = envelope_of(message)
    for number_of_kind, kind in enumerate(MetricKind):
        batch = decode_metrics([whole])[number_of_kind].drop_columns(["RowKey"])
        assert points_in(kind, whole) == batch.num_rows
        for place in range(batch.num_rows):
            alone = decode_metrics([one_point(kind, whole, place)])
            assert [other.num_rows for other in alone] == [int(other is kind) for other in MetricKind]
            found = alone[number_of_kind].drop_columns(["RowKey"])
            assert str(found.to_pylist()) == str(batch.slice(place, 1).to_pylist())
        with pytest.raises(IndexError):
            one_point(kind, whole, batch.num_rows)


@settings(max_examples=100)
@given(generated.metric_requests)
def test_both_implementations_at_the_door_agree(message: Any) -> None:
    """But for lists of numbers, which only the native one counts as elements."""
    body = message.SerializeToString()
    natively = validate.validate(Signal.METRICS, body, Encoding.PROTOBUF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "_natively", lambda *_: None)
        found = validate.validate(Signal.METRICS, body, Encoding.PROTOBUF)
    assert (found.payload, found.receipt) == (natively.payload, natively.receipt)
    assert found.expanded <= natively.expanded


def test_what_points_share_counts_once_for_each() -> None:
    """A long description repeated for each of many points is too much, however small the request."""
    points = [number(1.0, {}, time_unix_nano=at) for at in range(10_000)]
    message = metric_request(gauge(*points, description="x" * 100_000))
    with pytest.raises(Rejected, match="repeated for each span, record or point") as refused:
        validate.validate(Signal.METRICS, message.SerializeToString(), Encoding.PROTOBUF)
    assert refused.value.reason is Reason.TOO_LARGE


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        decode_metrics([Envelope("p", 0, 1, b"\x0a\xff", signal=Signal.METRICS)])
    assert refused.value.reason is Reason.MALFORMED
