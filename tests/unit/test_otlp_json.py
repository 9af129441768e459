"""OTLP/JSON: whatever protobuf can say reads back equal from JSON; what is not OTLP is refused in a sentence."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admit import otlp_json
from collector.errors import Reason, Rejected
from tests.support import generated
from tests.support.otlp import any_value, json_of, plain_of, request, span


def parse(document: Any, message: Any = ExportTraceServiceRequest) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return otlp_json.parse(message, body)


def one_span(**fields: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}


def with_value(value: Any) -> dict[str, Any]:
    return one_span(attributes=[{"key": "k", "value": value}])


def value_of(value: Any) -> Any:
    """The AnyValue that the JSON value becomes."""
    parsed = parse(with_value(value))
    return parsed.resource_spans[0].scope_spans[0].spans[0].attributes[0].value


def span_of(**fields: Any) -> Any:
    return parse(one_span(**fields)).resource_spans[0].scope_spans[0].spans[0]


@settings(max_examples=200)
@given(generated.requests, st.booleans())
def test_what_protobuf_says_reads_back_equal(message: Any, ascii_only: bool) -> None:
    body = json.dumps(json_of(message), ensure_ascii=ascii_only).encode()
    assert otlp_json.parse(type(message), body).SerializeToString() == message.SerializeToString()


def test_the_other_signals() -> None:
    logs: Any = ExportLogsServiceRequest()
    record = (
        logs.resource_logs.add()
        .scope_logs.add()
        .log_records.add(time_unix_nano=5, severity_number=9, trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    )
    record.body.CopyFrom(any_value({"a": [1, b"\xff"]}))
    assert parse(json_of(logs), ExportLogsServiceRequest) == logs
    metrics: Any = ExportMetricsServiceRequest()
    scope = metrics.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="g").gauge.data_points.add(as_double=1.5, time_unix_nano=2**64 - 1)
    scope.metrics.add(name="s").sum.data_points.add(as_int=-(2**63))
    histogram = scope.metrics.add(name="h").histogram.data_points.add(count=3, sum=1.5)
    histogram.bucket_counts.extend([1, 2**64 - 1])
    histogram.explicit_bounds.extend([0.5, math.inf])
    assert parse(json_of(metrics), ExportMetricsServiceRequest) == metrics


@pytest.mark.parametrize(
    "body", [b"{}", b" {} \n", b"\xef\xbb\xbf{}", b'{"resourceSpans":null}', b'{"resourceSpans":[]}']
)
def test_empty_requests(body: bytes) -> None:
    assert parse(body) == ExportTraceServiceRequest()


def test_unknown_names_and_snake_case_are_ignored_and_null_is_the_default() -> None:
    found = span_of(name="n", trace_id="ff", kind=None, status=None, attributes=None, futureField={"deep": [[1]]})
    assert found == type(found)(name="n")


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.swapcase])
def test_ids_are_hex_in_any_case(spelling: Any) -> None:
    trace, span_id = "ABcdef0123456789abCDEF0123456789", "fEDCba9876543210"
    found = span_of(
        traceId=spelling(trace),
        spanId=spelling(span_id),
        parentSpanId=spelling(span_id),
        links=[{"traceId": spelling(trace), "spanId": spelling(span_id)}],
    )
    ids = (bytes.fromhex(trace), bytes.fromhex(span_id))
    assert (found.trace_id, found.span_id, found.parent_span_id) == (*ids, ids[1])
    assert (found.links[0].trace_id, found.links[0].span_id) == ids


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (0, 0),
        ("0", 0),
        (42, 42),
        ("42", 42),
        ("-1", -1),
        (9007199254740993, 9007199254740993),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        (1e3, 1000),
        ("1e3", 1000),
        ("1.5e1", 15),
        (2.0, 2),
    ],
)
def test_integers(written: Any, number: int) -> None:
    assert value_of({"intValue": written}).int_value == number


@pytest.mark.parametrize("written", [2**64 - 1, str(2**64 - 1), 0, "0", 1_700_000_000_123_456_789])
def test_times_are_unsigned(written: Any) -> None:
    assert span_of(startTimeUnixNano=written).start_time_unix_nano == int(written)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (1.5, 1.5),
        (1, 1.0),
        ("1.5", 1.5),
        ("-1e-7", -1e-7),
        (1e308, 1e308),
        (5e-324, 5e-324),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
    ],
)
def test_doubles(written: Any, number: float) -> None:
    assert value_of({"doubleValue": written}).double_value == number


def test_special_doubles() -> None:
    assert math.isnan(value_of({"doubleValue": "NaN"}).double_value)
    assert math.copysign(1, value_of({"doubleValue": -0.0}).double_value) == -1


@pytest.mark.parametrize("written", ["+/8=", "-_8=", "-_8", "+/8"])
def test_bytes_are_base64_in_both_alphabets(written: str) -> None:
    assert value_of({"bytesValue": written}).bytes_value == b"\xfb\xff"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({}, None),
        (None, None),
        ({"stringValue": ""}, "string_value"),
        ({"boolValue": False}, "bool_value"),
        ({"intValue": "0"}, "int_value"),
        ({"doubleValue": 0}, "double_value"),
        ({"bytesValue": ""}, "bytes_value"),
        ({"arrayValue": {}}, "array_value"),
        ({"arrayValue": {"values": []}}, "array_value"),
        ({"kvlistValue": {}}, "kvlist_value"),
        ({"stringValue": None}, None),
    ],
)
def test_empty_values_keep_their_type(value: Any, kind: str | None) -> None:
    assert value_of(value).WhichOneof("value") == kind


@pytest.mark.parametrize("number", [0, 5, 99, -1, 2**31 - 1])
def test_enums_are_open_integers(number: int) -> None:
    found = span_of(kind=number, status={"code": number})
    assert (found.kind, found.status.code) == (number, number)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"h\\u00e9 \\ud83d\\ude00"', "h\u00e9 \U0001f600"),
        ('"cut \\ud83d"', "cut \ufffd"),
        ('"\\ude00 cut"', "\ufffd cut"),
        ('"\\ud83d and \\ud83d\\ude00"', "\ufffd and \U0001f600"),
        ('"\\ud83d\\ud83d"', "\ufffd\ufffd"),
        ('"\\ufeffx"', "\ufeffx"),
        ('"a\\u0000b"', "a\x00b"),
    ],
)
def test_text_escapes_and_lone_surrogates(written: str, text: str) -> None:
    parsed = parse(b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":%s}]}]}]}' % written.encode())
    assert parsed.resource_spans[0].scope_spans[0].spans[0].name == text


@given(st.text(max_size=20))
def test_any_text_is_taken_and_only_lone_surrogates_change(text: str) -> None:
    found = value_of({"stringValue": text}).string_value
    # What JSON joins, two halves of a pair, is one character.
    joined = json.loads(json.dumps(text))
    assert found == "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in joined)


def deep(depth: int, *, lists: bool) -> bytes:
    opening, closing = (
        ('{"arrayValue":{"values":[', "]}}") if lists else ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}")
    )
    inner = opening * depth + '{"stringValue":"x"}' + closing * depth
    return json.dumps(with_value("@")).replace('"@"', inner).encode()


@pytest.mark.parametrize("lists", [True, False])
def test_depth_100_is_kept(lists: bool) -> None:
    value = parse(deep(100, lists=lists)).resource_spans[0].scope_spans[0].spans[0].attributes[0].value
    plain = plain_of(value)
    for _ in range(100):
        (plain,) = plain if lists else plain.values()
    assert plain == "x"


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("depth", [101, 150, 10_000, 100_000])
def test_deeper_is_refused(depth: int, lists: bool) -> None:
    with pytest.raises(Rejected) as refused:
        parse(deep(depth, lists=lists))
    assert refused.value.reason is Reason.TOO_DEEP


def test_depth_under_an_unknown_name_is_not_looked_at() -> None:
    assert parse(b'{"x":' + b"[" * 200 + b"]" * 200 + b"}") == ExportTraceServiceRequest()


PATH = "resourceSpans[0].scopeSpans[0].spans[0]"
VALUE = f"{PATH}.attributes[0].value"
OTLP = "The JSON body is not valid OTLP: "
NOT_JSON = "The body is not an ExportTraceServiceRequest in JSON: "


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", NOT_JSON),
        (b'{"resourceSpans": [', NOT_JSON),
        (b'{"resourceSpans": [],}', NOT_JSON),
        (b"{}{}", NOT_JSON),
        (b"{'resourceSpans': []}", NOT_JSON),
        (b'{"a": NaN}', NOT_JSON + "NaN is not JSON; OTLP writes it as a string"),
        (b'{"a": -Infinity}', NOT_JSON),
        (b'{"a": ' + b"1" * 5000 + b"}", NOT_JSON),
        (b'{"a": "\x01"}', NOT_JSON),
        (b'{"a": "\xff"}', "The body is not UTF-8 (at byte 7)."),
        ("{}".encode("utf-16"), "The body is not UTF-8 (at byte 0)."),
        (b"[]", OTLP + "the document must be an object, not an array."),
        (b'"x"', OTLP + 'the document must be an object, not "x".'),
        (b"null", OTLP + "the document must be an object, not null."),
        ({"resourceSpans": "x"}, OTLP + 'resourceSpans must be an array, not "x".'),
        ({"resourceSpans": {}}, OTLP + "resourceSpans must be an array, not an object."),
        ({"resourceSpans": [1]}, OTLP + "resourceSpans[0] must be an object, not 1."),
        (
            {"resourceSpans": [{}, {"resource": []}]},
            OTLP + "resourceSpans[1].resource must be an object, not an array.",
        ),
        (one_span(traceId="xyz"), OTLP + f'{PATH}.traceId must be a hex string, not "xyz".'),
        (one_span(traceId="abc"), OTLP + f'{PATH}.traceId must be a hex string, not "abc".'),
        (one_span(spanId=5), OTLP + f"{PATH}.spanId must be a hex string, not 5."),
        (one_span(spanId="\u00e9\ud800"), OTLP + f'{PATH}.spanId must be a hex string, not "\\u00e9\\ud800".'),
        (one_span(name=5), OTLP + f"{PATH}.name must be a string, not 5."),
        (
            one_span(name="x" * 200, kind="SPAN_KIND_SERVER"),
            OTLP + f'{PATH}.kind must be an enum value as an integer, not "SPAN_KIND_SERVER".',
        ),
        (
            one_span(startTimeUnixNano="yesterday"),
            OTLP + f'{PATH}.startTimeUnixNano must be an unsigned 64-bit integer, not "yesterday".',
        ),
        (
            one_span(startTimeUnixNano="-1"),
            OTLP + f'{PATH}.startTimeUnixNano must be an unsigned 64-bit integer, not "-1".',
        ),
        (one_span(endTimeUnixNano=str(2**64)), OTLP + f"{PATH}.endTimeUnixNano must be"),
        (one_span(flags=2**32), OTLP + f"{PATH}.flags must be an unsigned 32-bit integer, not 4294967296."),
        (one_span(flags=True), OTLP + f"{PATH}.flags must be an unsigned 32-bit integer, not true."),
        (one_span(attributes={"a": "b"}), OTLP + f"{PATH}.attributes must be an array, not an object."),
        (one_span(attributes=[{"key": "k", "value": "b"}]), OTLP + f'{VALUE} must be an object, not "b".'),
        (with_value({"intValue": str(2**63)}), OTLP + f"{VALUE}.intValue must be a 64-bit integer"),
        (with_value({"intValue": 1.5}), OTLP + f"{VALUE}.intValue must be a 64-bit integer, not 1.5."),
        (with_value({"intValue": "1e9999"}), OTLP + f"{VALUE}.intValue must be a 64-bit integer"),
        (with_value({"boolValue": "yes"}), OTLP + f'{VALUE}.boolValue must be true or false, not "yes".'),
        (with_value({"boolValue": 1}), OTLP + f"{VALUE}.boolValue must be true or false, not 1."),
        (with_value({"doubleValue": "one"}), OTLP + f'{VALUE}.doubleValue must be a number, not "one".'),
        (with_value({"doubleValue": 10**400}), OTLP + f"{VALUE}.doubleValue must be a number, not 1000"),
        (with_value({"doubleValue": True}), OTLP + f"{VALUE}.doubleValue must be a number, not true."),
        (with_value({"bytesValue": "%%%"}), OTLP + f'{VALUE}.bytesValue must be a base64 string, not "%%%".'),
        (with_value({"bytesValue": "A"}), OTLP + f"{VALUE}.bytesValue must be a base64 string"),
        (with_value({"bytesValue": 5}), OTLP + f"{VALUE}.bytesValue must be a base64 string, not 5."),
        (
            with_value({"arrayValue": {"values": [{}, {"stringValue": 1}]}}),
            OTLP + f"{VALUE}.arrayValue.values[1].stringValue must be a string, not 1.",
        ),
    ],
)
def test_what_is_not_otlp_is_refused_in_a_sentence(body: Any, sentence: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse(body)
    assert refused.value.reason is Reason.MALFORMED
    message = str(refused.value)
    assert message.startswith(sentence)
    assert message.endswith(".")
    assert len(message) < 500


def test_protobuf_sent_as_json_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        parse(request(span()).SerializeToString())
    assert refused.value.reason is Reason.MALFORMED


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "attributes",
                    "key",
                    "value",
                    "traceId",
                    "intValue",
                    "doubleValue",
                    "bytesValue",
                    "arrayValue",
                    "values",
                    "kind",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(_json)
def test_any_document_parses_or_is_rejected(document: Any) -> None:
    try:
        parsed = parse(document)
    except Rejected as refused:
        reason = refused.reason
        assert reason in (Reason.MALFORMED, Reason.TOO_DEEP)
    else:
        assert ExportTraceServiceRequest.FromString(parsed.SerializeToString()) == parsed


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_rejected(body: bytes) -> None:
    try:
        parse(body)
    except Rejected as refused:
        reason = refused.reason
        assert reason is Reason.MALFORMED
