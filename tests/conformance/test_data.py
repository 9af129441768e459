"""Spans with every legal content: stored without change over both transports and both encodings."""

import base64
import json
from typing import Any

import grpc
import pytest

from tests.support.daemon import Daemon
from tests.support.memory import MIB
from tests.support.otlp import (
    KINDS,
    STATUSES,
    any_value,
    attributes,
    field_bytes,
    json_of,
    request,
    span,
    text_of,
    trace_id,
    varint,
    wrapped,
)
from tests.support.wire import JSON, PROTOBUF, call, post, succeeded

VIA = pytest.mark.parametrize("via", ["http", "json", "grpc"])

VALUES: dict[str, Any] = {
    "string": "hello",
    "empty string": "",
    "true": True,
    "false": False,
    "zero": 0,
    "int64 max": 2**63 - 1,
    "int64 min": -(2**63),
    "above 2^53": 2**53 + 1,
    "one": 1.0,
    "tenth": 0.1,
    "largest": 1.7976931348623157e308,
    "denormal": 5e-324,
    "minus zero": -0.0,
    "1e21": 1e21,
    "1e-7": 1e-7,
    "nan": float("nan"),
    "infinity": float("inf"),
    "-infinity": float("-inf"),
    "bytes": b"\x00\xff\xfe",
    "empty bytes": b"",
    "array": ["a", "", None, 1, 2.5, True, b"\x01", ["n"], {"k": "v"}],
    "empty array": [],
    "map": {"b": {"c": [1, 2]}, "a": 1, "": "x"},
    "empty map": {},
    "unset": None,
    "emoji": "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "control": "a\x00b\x01\x1f\x7f\u0085\u2028\u2029",
    "direction": "\u202eabc\u05d0",
    "byte order mark": "\ufeffx",
    "noncharacter": "\uffff\ufffe",
    "quotes": "'\"`\\ \\n \t\r\n",
    "sql": "'); DROP TABLE otel_traces; --",
    "json": '{"a": [1]}',
    "tsv": "a\tb\\tc\\N",
    "1 MiB": ("abc\x00\U0001f600\u00e9\u20ac\n" * (MIB // 12)),
}
KEYS = ["a.b.c", " a b ", "a'b\"c`", "a\\b", "a\nb", "\U0001f511", "a\x00b", "k" * 65536, "", "cl\u00e9", "ISO_8859-1"]


def send(daemon: Daemon, via: str, message: Any) -> None:
    body = message.SerializeToString()
    if via == "grpc":
        called = call(daemon.grpc, body)
        assert called.code is grpc.StatusCode.OK, called
        assert not called.response.HasField("partial_success")
    elif via == "json":
        succeeded(post(daemon.ports["http"], json_of(message), JSON), JSON)
    else:
        succeeded(post(daemon.ports["http"], body, PROTOBUF))


def stored(daemon: Daemon, via: str, item: Any) -> dict[str, Any]:
    send(daemon, via, request(item))
    (found,) = daemon.trace(item.trace_id)
    return found


@VIA
def test_attribute_values_and_keys(daemon: Daemon, via: str) -> None:
    sent = {f"value: {name}": value for name, value in VALUES.items()} | dict.fromkeys(KEYS, "x")
    found = stored(daemon, via, span(sent))["SpanAttributes"]
    assert found.keys() == sent.keys()
    for key, value in sent.items():
        assert found[key] == text_of(any_value(value)), key


@VIA
def test_every_field_of_a_span(daemon: Daemon, via: str) -> None:
    linked, item = span(), span({"a": 1})
    item.trace_state, item.flags, item.parent_span_id = "a=b,c=d", 0x301, b"\x0a" * 8
    item.start_time_unix_nano, item.end_time_unix_nano = 1_700_000_000_123_456_789, 1_700_000_000_123_456_790
    item.dropped_attributes_count, item.dropped_events_count, item.dropped_links_count = 1, 2, 2**32 - 1
    item.status.code, item.status.message = 2, "m\u00e9"
    for number in range(5):
        item.events.add(
            name=f"e{number}", time_unix_nano=10**18 + number, attributes=attributes({"i": number, "s": "\U0001f600"})
        )
        item.links.add(
            trace_id=linked.trace_id,
            span_id=bytes([number + 1]) * 8,
            trace_state="x=y",
            attributes=attributes({"i": number}),
        )
    message = request(item, resource={"service.name": "s\u00e9rvice", "host.name": "h"})
    message.resource_spans[0].schema_url = "https://resource"
    message.resource_spans[0].scope_spans[0].schema_url = "https://scope"
    scope = message.resource_spans[0].scope_spans[0].scope
    scope.name, scope.version = "library", "1.2.3"
    scope.attributes.extend(attributes({"sc": True}))
    send(daemon, via, message)
    (found,) = daemon.trace(item.trace_id)
    expected = {
        "TraceId": item.trace_id.hex(),
        "SpanId": item.span_id.hex(),
        "ParentSpanId": "0a" * 8,
        "TraceState": "a=b,c=d",
        "TraceFlags": 0x301,
        "Timestamp": "1700000000123456789",
        "Duration": 1,
        "DroppedAttributesCount": 1,
        "DroppedEventsCount": 2,
        "DroppedLinksCount": 2**32 - 1,
        "StatusCode": "Error",
        "StatusMessage": "m\u00e9",
        "ServiceName": "s\u00e9rvice",
        "ResourceAttributes": {"service.name": "s\u00e9rvice", "host.name": "h"},
        "ResourceSchemaUrl": "https://resource",
        "ScopeSchemaUrl": "https://scope",
        "ScopeName": "library",
        "ScopeVersion": "1.2.3",
        "ScopeAttributes": {"sc": "true"},
        "Project": "default",
        "Events": [
            {"Timestamp": str(10**18 + n), "Name": f"e{n}", "Attributes": {"i": str(n), "s": "\U0001f600"}}
            for n in range(5)
        ],
        "Links": [
            {
                "TraceId": linked.trace_id.hex(),
                "SpanId": (bytes([n + 1]) * 8).hex(),
                "TraceState": "x=y",
                "Attributes": {"i": str(n)},
            }
            for n in range(5)
        ],
    }
    assert {name: found[name] for name in expected} == expected


@VIA
def test_enums_are_open(daemon: Daemon, via: str) -> None:
    trace = trace_id()
    numbers = [(kind, code) for kind in (*range(6), 99) for code in (*range(3), 99)]
    items = [span(trace_id=trace, kind=kind, status={"code": code}) for kind, code in numbers]
    send(daemon, via, request(*items))
    found = {row["SpanId"]: (row["SpanKind"], row["StatusCode"]) for row in daemon.trace(trace, len(items))}
    for item, (kind, code) in zip(items, numbers, strict=True):
        assert found[item.span_id.hex()] == (
            dict(enumerate(KINDS)).get(kind, ""),
            dict(enumerate(STATUSES)).get(code, ""),
        )


INT64_MAX, UINT64_MAX, NOW = 2**63 - 1, 2**64 - 1, 1_700_000_000_000_000_000
YEAR_2150 = 5_680_281_600_000_000_000


@VIA
@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0), (NOW, 0), (NOW + 100, NOW), (NOW, NOW), (1_700_000_000, 1_700_000_001), (INT64_MAX, INT64_MAX), (2**63 + 5, 2**63 + 9), (UINT64_MAX, UINT64_MAX), (0, UINT64_MAX), (YEAR_2150, YEAR_2150 + 1)],
)  # fmt: skip
def test_any_time_is_kept_and_hides_no_other_span(daemon: Daemon, via: str, start: int, end: int) -> None:
    trace = trace_id()
    odd = span(trace_id=trace, name="odd", start_time_unix_nano=start, end_time_unix_nano=end)
    send(daemon, via, request(odd, span(trace_id=trace, name="plain")))
    found = {row["SpanName"]: row for row in daemon.trace(trace, 2)}
    row = found["odd"]
    kept_start = row["SpanAttributes"].get("spanmeter.start_time_unix_nano", row["Timestamp"])
    kept_end = row["SpanAttributes"].get("spanmeter.end_time_unix_nano", start + row["Duration"])
    assert (int(kept_start), int(kept_end)) == (start, end)


def test_large_spans_and_requests_are_kept_whole(daemon: Daemon) -> None:
    wide = span({f"k{number}": str(number) for number in range(5000)})
    for number in range(3000):
        wide.events.add(name="e", time_unix_nano=number, attributes=attributes({"i": number}))
    send(daemon, "http", request(wide))
    trace = trace_id()
    many = [span({"i": number}, trace_id=trace) for number in range(3000)]
    send(daemon, "json", request(*many))
    (found,) = daemon.trace(wide.trace_id)
    assert found["SpanAttributes"] == {f"k{number}": str(number) for number in range(5000)}
    assert [event["Attributes"]["i"] for event in found["Events"]] == [str(number) for number in range(3000)]
    rows = {row["SpanId"]: row["SpanAttributes"]["i"] for row in daemon.trace(trace, 3000)}
    assert rows == {item.span_id.hex(): str(number) for number, item in enumerate(many)}


@pytest.mark.parametrize(
    "unknown",
    [
        varint(1000 << 3) + varint(7),
        field_bytes(1000, b"junk\xff"),
        varint(1000 << 3 | 5) + b"abcd",
        varint(1000 << 3 | 1) + b"abcdefgh",
        varint(1000 << 3 | 3) + b"\x08\x01" + varint(1000 << 3 | 4),
        field_bytes(536870911, b"x"),
    ],
)
def test_fields_of_newer_clients_are_ignored(daemon: Daemon, unknown: bytes) -> None:
    item = span()
    pair = field_bytes(1, b"a") + field_bytes(2, field_bytes(1, b"b") + unknown) + unknown
    body = wrapped(item.SerializeToString() + unknown + field_bytes(9, pair)) + unknown
    succeeded(post(daemon.ports["http"], body))
    assert daemon.trace(item.trace_id)[0]["SpanAttributes"] == {"a": "b"}


def test_the_example_of_the_specification(daemon: Daemon) -> None:
    trace = trace_id().hex().upper()
    example = {
        "traceId": trace,
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
        "kind": 2,
        "attributes": [
            {"key": "my.span.attr", "value": {"stringValue": "some value"}},
            {"key": "raw", "value": {"bytesValue": base64.urlsafe_b64encode(b"\xfb\xff").decode().rstrip("=")}},
            {"key": "n", "value": {"intValue": 42}},
            {"key": "without"},
        ],
        "notYetInvented": {"x": [1]},
    }
    document = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "my.library"}, "spans": [example]}]}]}
    succeeded(post(daemon.ports["http"], json.dumps(document).encode(), JSON), JSON)
    (found,) = daemon.trace(trace.lower())
    assert (found["SpanId"], found["ParentSpanId"]) == ("eee19b7ec3c1b174", "eee19b7ec3c1b173")
    assert (found["SpanName"], found["SpanKind"], found["Duration"]) == ("I'm a server span", "Server", 10**9)
    assert found["SpanAttributes"] == {"my.span.attr": "some value", "raw": "+/8=", "n": "42", "without": ""}
