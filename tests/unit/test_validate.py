"""Admission: which spans count, what the sender is told, and that every taken payload decodes later."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.admit import validate
from collector.admit.limits import RequestLimits
from collector.admit.validate import validate_quickly, validate_traces
from collector.decode import decode
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Envelope, Receipt, Signal
from tests.support import generated
from tests.support.otlp import (
    any_value,
    attributes,
    field_bytes,
    json_of,
    nested_request,
    nested_text,
    request,
    span,
    wrapped,
)
from tests.support.signals import log_request, record

PROTOBUF, JSON = Encoding.PROTOBUF, Encoding.JSON


def body_of(message: Any, encoding: Encoding) -> bytes:
    return message.SerializeToString() if encoding is PROTOBUF else json.dumps(json_of(message)).encode()


def valid(item: Any) -> bool:
    return len(item.trace_id) == 16 and any(item.trace_id) and len(item.span_id) == 8 and any(item.span_id)


@settings(max_examples=150)
@given(generated.requests, st.sampled_from(Encoding))
def test_what_is_counted_is_what_decodes(message: Any, encoding: Encoding) -> None:
    found = validate_traces(body_of(message, encoding), encoding)
    spans = [item for resource in message.resource_spans for scope in resource.scope_spans for item in scope.spans]
    assert found.receipt.accepted == sum(map(valid, spans))
    assert found.receipt.rejected == len(spans) - found.receipt.accepted
    assert bool(found.receipt.message) == bool(found.receipt.rejected)
    assert found.repaired == 0
    envelope = Envelope("p", 1, found.receipt.accepted, found.payload)
    batch = decode([envelope])
    assert batch.num_rows == found.receipt.accepted
    assert batch.equals(decode([Envelope("p", 1, 0, message.SerializeToString())]))


def test_a_protobuf_body_is_kept_as_it_came() -> None:
    body = request(span()).SerializeToString() + field_bytes(1000, b"from a newer client")
    assert validate_traces(body, PROTOBUF).payload is body


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("message", [request(), type(request())()])
def test_nothing_is_taken_as_nothing(message: Any, encoding: Encoding) -> None:
    assert validate_traces(body_of(message, encoding), encoding).receipt == Receipt()


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ({"trace_id": b""}, "no trace id"),
        ({"trace_id": bytes(16)}, "an all-zero trace id"),
        ({"trace_id": b"\x01" * 15}, "a trace id of 15 bytes instead of 16"),
        ({"trace_id": b"\x01" * 17}, "a trace id of 17 bytes instead of 16"),
        ({"span_id": b""}, "no span id"),
        ({"span_id": bytes(8)}, "an all-zero span id"),
        ({"span_id": bytes(16)}, "a span id of 16 bytes instead of 8"),
        ({"trace_id": b"", "span_id": b""}, "no trace id"),
    ],
)
@pytest.mark.parametrize("encoding", Encoding)
def test_the_receipt_says_what_was_wrong_with_a_span(ids: dict[str, Any], problem: str, encoding: Encoding) -> None:
    found = validate_traces(body_of(request(span(), span(**ids), span(**ids), span()), encoding), encoding)
    assert found.receipt == Receipt(2, 2, f"2 of 4 spans were not stored: 2 with {problem}.")


def test_the_receipt_of_many_different_problems_stays_short() -> None:
    spans = [span(trace_id=b"\x01" * length) for length in range(15) for _ in range(length + 1)]
    found = validate_traces(request(*spans).SerializeToString(), PROTOBUF)
    assert found.receipt.rejected == len(spans)
    assert found.receipt.message.startswith("120 of 120 spans were not stored: 15 with a trace id of 14 bytes")
    assert len(found.receipt.message) < 300


def test_text_that_is_not_utf8_is_mended_and_counted() -> None:
    item = span(name="")
    found = validate_traces(wrapped(item.SerializeToString() + field_bytes(5, b"a\xffb")), PROTOBUF)
    assert (found.repaired, found.receipt) == (1, Receipt(1))
    item.name = "a\ufffdb"
    assert decode([Envelope("p", 1, 1, found.payload)]).column("SpanName").to_pylist() == ["a\ufffdb"]


def deep_json(depth: int, *, lists: bool) -> bytes:
    opening, closing = (
        ('{"arrayValue":{"values":[', "]}}") if lists else ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}")
    )
    document = json_of(request(span({"k": "@"})))
    body = json.dumps(document).replace(
        '{"stringValue": "@"}', opening * depth + '{"stringValue":"x"}' + closing * depth
    )
    return body.encode()


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("depth", [1, 40, 50, 100])
def test_nested_values_are_kept_from_both_encodings(depth: int, lists: bool) -> None:
    for body, encoding in ((nested_request(depth, lists=lists), PROTOBUF), (deep_json(depth, lists=lists), JSON)):
        found = validate_traces(body, encoding)
        assert found.receipt == Receipt(1)
        batch = decode([Envelope("p", 1, 1, found.payload)])
        assert batch.column("SpanAttributes").to_pylist() == [[("k", nested_text(depth, lists=lists))]]


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("depth", [101, 10_000])
def test_deeper_values_are_refused(depth: int, lists: bool) -> None:
    for body, encoding in ((nested_request(depth, lists=lists), PROTOBUF), (deep_json(depth, lists=lists), JSON)):
        with pytest.raises(Rejected) as refused:
            validate_traces(body, encoding)
        assert refused.value.reason is Reason.TOO_DEEP


def test_after_a_deep_request_the_library_still_refuses_depth() -> None:
    """The limit that is lifted for checked payloads is a switch of the process: it must be back."""
    validate_traces(nested_request(100, lists=True), PROTOBUF)
    with pytest.raises(Rejected) as refused:
        validate_traces(nested_request(101, lists=True), PROTOBUF)
    assert refused.value.reason is Reason.TOO_DEEP


@given(st.binary(max_size=60), st.sampled_from(Encoding))
def test_any_bytes_are_a_request_or_rejected(body: bytes, encoding: Encoding) -> None:
    try:
        found = validate_traces(body, encoding)
    except Rejected as refused:
        reason = refused.reason
        assert reason in (Reason.MALFORMED, Reason.TOO_DEEP)
    else:
        assert decode([Envelope("p", 1, 0, found.payload)]).num_rows == found.receipt.accepted


@pytest.mark.parametrize("encoding", Encoding)
def test_logs_and_metrics_are_counted(encoding: Encoding) -> None:
    logs: Any = ExportLogsServiceRequest()
    for size in (2, 0, 3):
        records = logs.resource_logs.add().scope_logs.add().log_records
        for _ in range(size):
            records.add(time_unix_nano=1)
    assert validate.validate(Signal.LOGS, body_of(logs, encoding), encoding).receipt == Receipt(5)
    metrics: Any = ExportMetricsServiceRequest()
    found = metrics.resource_metrics.add().scope_metrics.add().metrics
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        getattr(found.add(name=kind), kind).data_points.add()
        getattr(found[-1], kind).data_points.add()
    found.add(name="empty")
    assert validate.validate(Signal.METRICS, body_of(metrics, encoding), encoding).receipt == Receipt(10)
    for signal in (Signal.LOGS, Signal.METRICS):
        with pytest.raises(Rejected):
            validate.validate(signal, b"\xff\xff", encoding)
        assert validate.validate(signal, b"{}" if encoding is JSON else b"", encoding).receipt == Receipt()


def test_attributes_repeated_for_each_span_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    message = request(*(span() for _ in range(50)))
    message.resource_spans[0].resource.attributes.add(key="big").value.string_value = "x" * 10_000
    body = message.SerializeToString()
    assert validate_traces(body, Encoding.PROTOBUF).expanded > 500_000
    monkeypatch.setattr("collector.admit.validate.MAX_EXPANDED", 500_000)
    with pytest.raises(Rejected, match="repeated for each span") as refused:
        validate_traces(body, Encoding.PROTOBUF)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("way", ["native", "library", "json"])
def test_what_is_repeated_for_each_span_is_counted_with_its_schema_urls(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "library":
        monkeypatch.setattr(validate, "_natively", lambda *_: None)
    message = request(*(span() for _ in range(50)))
    (resource,) = message.resource_spans
    (scope,) = resource.scope_spans
    resource.resource.attributes.add(key="k").value.string_value = "v"
    resource.schema_url, scope.schema_url = "https://\u00e9/" + "r" * 1000, "s" * 300
    repeated = resource.resource.ByteSize() + scope.scope.ByteSize() + len(resource.schema_url.encode()) + 300
    found = validate_traces(body_of(message, JSON if way == "json" else PROTOBUF), JSON if way == "json" else PROTOBUF)
    assert found.expanded == len(found.payload) + 50 * repeated


_FEW = RequestLimits(max_items=3, max_elements=40)


def with_(element: str, count: int) -> Any:
    """A request with so many of one kind of element."""
    message = request(span())
    item = message.resource_spans[0].scope_spans[0].spans[0]
    if element == "resources":
        for _ in range(count):
            message.resource_spans.add()
    elif element == "scopes":
        for _ in range(count):
            message.resource_spans[0].scope_spans.add()
    elif element == "values":
        item.attributes.add(key="k").value.array_value.values.extend([any_value(1)] * count)
    else:
        for _ in range(count):
            getattr(item, element).add()
    return message


@pytest.mark.parametrize("way", ["fast", "slow"])
@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("element", ["resources", "scopes", "values", "events", "links", "attributes"])
def test_a_request_has_no_more_elements_than_allowed(
    element: str, encoding: Encoding, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "slow":
        monkeypatch.setattr(validate, "_natively", lambda *_: None)
    assert validate_traces(body_of(with_(element, 10), encoding), encoding, _FEW).receipt.accepted == 1
    with pytest.raises(Rejected, match=r"more than 40 .*limits\.max_request_elements") as refused:
        validate_traces(body_of(with_(element, 41), encoding), encoding, _FEW)
    assert refused.value.reason is Reason.TOO_LARGE


# Values, and how many messages an attribute with it is.
_SIZES: list[tuple[Any, int]] = [(1, 2), (2, 2), ([1, 2], 5), ({"x": [1]}, 7)]


@given(st.lists(st.lists(st.sampled_from(_SIZES), max_size=3), max_size=5))
def test_elements_count_as_often_as_they_are_repeated(rows: list[list[tuple[Any, int]]]) -> None:
    """Natively what an item repeats of the one before is read once."""
    records = [record("x") for _ in rows]
    for made, sizes in zip(records, rows, strict=True):
        made.attributes.extend(pair for value, _ in sizes for pair in attributes({"k": value}))
    body = log_request(*records).SerializeToString()
    elements = 6 + sum(2 + sum(size for _, size in sizes) for sizes in rows)
    assert validate.validate(Signal.LOGS, body, PROTOBUF, RequestLimits(9, elements)).receipt.accepted == len(rows)
    with pytest.raises(Rejected, match="more than"):
        validate.validate(Signal.LOGS, body, PROTOBUF, RequestLimits(9, elements - 1))


@pytest.mark.parametrize("encoding", Encoding)
def test_a_request_has_no_more_spans_than_allowed(encoding: Encoding) -> None:
    assert validate_traces(body_of(request(span(), span(), span()), encoding), encoding, _FEW).receipt.accepted == 3
    with pytest.raises(Rejected, match=r"more than 3 spans.*limits\.max_request_items") as refused:
        validate_traces(body_of(request(*(span() for _ in range(4))), encoding), encoding, _FEW)
    assert refused.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("signal", "body", "encoding"),
    [
        (Signal.TRACES, b"\x0b" * 50, PROTOBUF),  # groups in groups
        (Signal.TRACES, b"\x0a\x00" * 50, PROTOBUF),
        (Signal.METRICS, b"\x0a\x00" * 50, PROTOBUF),
        (Signal.LOGS, b"\x0a\x00" * 50, PROTOBUF),
        (Signal.LOGS, b'{"resourceLogs":[' + b"{}," * 50 + b"{}]}", JSON),
        (Signal.METRICS, b'{"resourceMetrics":[' + b"{}," * 50 + b"{}]}", JSON),
    ],
)
def test_empty_elements_are_counted(signal: Signal, body: bytes, encoding: Encoding) -> None:
    if not validate.NATIVE:
        pytest.skip("Unknown fields and groups are counted by the native modules only.")
    with pytest.raises(Rejected, match="more than 40") as refused:
        validate.validate(signal, body, encoding, _FEW)
    assert refused.value.reason is Reason.TOO_LARGE


def test_empty_groups_are_passed_over() -> None:
    assert validate_traces(b"\x0b\x0c" * 50, PROTOBUF, _FEW).receipt == Receipt()


def test_bad_text_does_not_end_the_count() -> None:
    if not validate.NATIVE:
        pytest.skip("The native modules count before the library parses.")
    message = request(span())
    message.resource_spans[0].scope_spans[0].spans[0].name = "BAD"
    bad = message.SerializeToString().replace(b"BAD", b"\xff\xff\xff")
    with pytest.raises(Rejected, match="more than 40"):
        validate_traces(bad + with_("events", 41).SerializeToString(), PROTOBUF, _FEW)
    assert validate_traces(bad, PROTOBUF, _FEW).repaired == 1


@pytest.mark.parametrize("size", [1_000, 20_000, 2_000_000])
@pytest.mark.parametrize("encoding", Encoding)
def test_large_and_odd_bodies_are_left_to_a_thread(encoding: Encoding, size: int) -> None:
    message = request(span({"k": "x" * size}))
    body = body_of(message, encoding)
    quick = validate_quickly(Signal.TRACES, body, encoding)
    assert (quick is None) == (len(body) > (1024 * 1024 if validate.NATIVE else 16 * 1024))
    odd = body.replace(b'{"key"', b'{"key":"k","key"').replace(b"xx", b"\xff\xff", 1 if encoding is PROTOBUF else 0)
    assert (validate_quickly(Signal.TRACES, odd, encoding) is None) == (len(odd) > 16 * 1024)
    assert validate_traces(odd, encoding).receipt == Receipt(1)
