"""What cannot be decoded: the same refusal over every transport and encoding, and a server as healthy as before."""

import json
import random
from typing import Any

import grpc
import pytest

from tests.support.daemon import Daemon
from tests.support.otlp import field_bytes, json_of, nested_request, nested_text, request, span, trace_id, wrapped
from tests.support.wire import JSON, PROTOBUF, call, post, status_message, succeeded

SOUND = request(span({"k": "v"})).SerializeToString()
BROKEN = {
    "truncated": SOUND[:-3],
    "truncated varint": b"\xff\xff\xff\xff",
    "overlong varint": b"\x0a" + b"\x80" * 11 + b"\x01",
    "length past the end": b"\x0a\x7fabc",
    "negative length": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "field 0": b"\x02\x01a",
    "wire type 7": b"\x0f\x00",
    "lone end of group": b"\x0c",
    "unclosed group": b"\x9b\x06\x08\x01",
    "random": random.Random(7).randbytes(4096),
    "JSON": json.dumps(json_of(request(span()))).encode(),
    "text": b"hello world",
}
BROKEN_JSON = {
    "truncated": b'{"resourceSpans": [',
    "array": b"[]",
    "two documents": b"{}{}",
    "empty": b"",
    "invalid UTF-8": b'{"a":"\xff"}',
    "UTF-16": "{}".encode("utf-16"),
    "NaN": b'{"a":NaN}',
    "wrong type": b'{"resourceSpans":"x"}',
    "enum name": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}',
    "protobuf": SOUND,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_broken_protobuf(daemon: Daemon, body: bytes) -> None:
    sentence = "The body is not an ExportTraceServiceRequest in protobuf encoding (at byte "
    assert status_message(post(daemon.ports["http"], body), 400).startswith(sentence)
    called = call(daemon.grpc, body)
    assert called.code is grpc.StatusCode.INVALID_ARGUMENT
    assert called.message.startswith(sentence)
    assert not called.retry


@pytest.mark.parametrize("body", BROKEN_JSON.values(), ids=BROKEN_JSON)
def test_broken_json(daemon: Daemon, body: bytes) -> None:
    assert status_message(post(daemon.ports["http"], body, JSON), 400, JSON).endswith(".")


def test_refusals_are_counted_by_reason(daemon: Daemon) -> None:
    name, labels = "spanmeter_receiver_refused_requests_total", {"reason": "malformed", "signal": "traces"}
    before = [daemon.metric(name, transport=transport, **labels) for transport in ("http", "grpc")]
    post(daemon.ports["http"], b"\xff")
    call(daemon.grpc, b"\xff")
    after = [daemon.metric(name, transport=transport, **labels) for transport in ("http", "grpc")]
    assert after == [count + 1 for count in before]


def nested_json(trace: bytes, depth: int, *, lists: bool) -> bytes:
    opening, closing = (
        ('{"arrayValue":{"values":[', "]}}") if lists else ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}")
    )
    text = json.dumps(json_of(request(span({"k": "@"}, trace_id=trace))))
    return text.replace('{"stringValue": "@"}', opening * depth + '{"stringValue":"x"}' + closing * depth).encode()


@pytest.mark.parametrize("lists", [True, False])
def test_depth_100_is_kept_over_every_transport(daemon: Daemon, lists: bool) -> None:
    traces = [trace_id() for _ in range(3)]
    succeeded(post(daemon.ports["http"], nested_request(100, lists=lists, trace_id=traces[0])))
    succeeded(post(daemon.ports["http"], nested_json(traces[1], 100, lists=lists), JSON), JSON)
    assert call(daemon.grpc, nested_request(100, lists=lists, trace_id=traces[2])).code is grpc.StatusCode.OK
    for trace in traces:
        assert daemon.trace(trace)[0]["SpanAttributes"] == {"k": nested_text(100, lists=lists)}


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("depth", [101, 10_000, 50_000])
def test_deeper_is_refused_over_every_transport(daemon: Daemon, depth: int, lists: bool) -> None:
    body = nested_request(depth, lists=lists)
    status_message(post(daemon.ports["http"], body), 400)
    status_message(post(daemon.ports["http"], nested_json(trace_id(), depth, lists=lists), JSON), 400, JSON)
    assert call(daemon.grpc, body).code is grpc.StatusCode.INVALID_ARGUMENT
    succeeded(post(daemon.ports["http"], request(span()).SerializeToString()))


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_text_that_is_not_utf8_is_mended(daemon: Daemon, transport: str) -> None:
    bad, mended = b"a\xff\xfe\xc0\x80b", "a\ufffd\ufffd\ufffd\ufffdb"
    trace = trace_id()
    pair = field_bytes(1, bad) + field_bytes(2, field_bytes(1, bad))
    item = span(trace_id=trace, name="").SerializeToString() + field_bytes(5, bad) + field_bytes(9, pair)
    before = daemon.metric("spanmeter_receiver_repaired_strings_total")
    if transport == "http":
        succeeded(post(daemon.ports["http"], wrapped(item)))
    else:
        assert call(daemon.grpc, wrapped(item)).code is grpc.StatusCode.OK
    (found,) = daemon.trace(trace)
    assert (found["SpanName"], found["SpanAttributes"]) == (mended, {mended: mended})
    assert daemon.metric("spanmeter_receiver_repaired_strings_total") == before + 3


def test_lone_surrogates_become_the_replacement_character(daemon: Daemon) -> None:
    trace = trace_id()
    document: dict[str, Any] = json_of(request(span({"cut": "@"}, trace_id=trace)))
    body = json.dumps(document).replace('"@"', '"an emoji cut in two \\ud83d"').encode()
    succeeded(post(daemon.ports["http"], body, JSON), JSON)
    assert daemon.trace(trace)[0]["SpanAttributes"]["cut"] == "an emoji cut in two \ufffd"


def test_sound_traffic_beside_garbage(daemon: Daemon) -> None:
    for body in BROKEN.values():
        post(daemon.ports["http"], body, PROTOBUF)
        trace = trace_id()
        succeeded(post(daemon.ports["http"], request(span(trace_id=trace)).SerializeToString()))
    daemon.trace(trace)
