"""OTLP/HTTP: paths, methods, media types, codings, answers."""

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.daemon import Daemon
from tests.support.otlp import json_of, request, span, trace_id
from tests.support.wire import JSON, PROTOBUF, Answer, partial, post, status_message, succeeded

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

both = pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


def encoded(message: Any, media_type: str) -> bytes:
    return bytes(message.SerializeToString()) if media_type == PROTOBUF else json.dumps(json_of(message)).encode()


def export(daemon: Daemon, *spans: Any, media_type: str = PROTOBUF, **how: Any) -> Answer:
    return post(daemon.ports["http"], encoded(request(*spans), media_type), media_type, **how)


@both
def test_success_is_empty_in_the_requests_encoding_and_stored(daemon: Daemon, media_type: str) -> None:
    trace = trace_id()
    succeeded(export(daemon, span(trace_id=trace, name="kept"), media_type=media_type), media_type)
    assert daemon.trace(trace)[0]["SpanName"] == "kept"


@both
@pytest.mark.parametrize(
    "path",
    [
        "/v1/traces",
        "/v1/traces/",
        "/api/public/otel/v1/traces",
        "/any/prefix/v1/traces",
        "//v1/traces",
        "/v1/traces?x=1",
        "/v1%2Ftraces",
    ],
)
def test_paths_after_any_prefix(daemon: Daemon, path: str, media_type: str) -> None:
    trace = trace_id()
    succeeded(export(daemon, span(trace_id=trace), media_type=media_type, path=path), media_type)
    daemon.trace(trace)


@both
@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/trace", "/v1/traces/x", "/V1/Traces", "/v1development/profiles", "/xv1/traces"]
)
def test_other_paths_are_not_found(daemon: Daemon, path: str, media_type: str) -> None:
    message = status_message(export(daemon, span(), media_type=media_type, path=path), 404, media_type)
    assert message == f"There is nothing at {path!r}; traces go to /v1/traces."


@both
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused_and_post_is_named(daemon: Daemon, method: str, media_type: str) -> None:
    answer = export(daemon, media_type=media_type, method=method)
    assert method in status_message(answer, 405, media_type)
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "application/grpc",
        "garbage",
        "",
        "application/x-protobuf\xff",
    ],
)
def test_other_media_types_are_unsupported(daemon: Daemon, media_type: str) -> None:
    body = request(span()).SerializeToString()
    message = status_message(post(daemon.ports["http"], body, media_type), 415, JSON)
    assert "send application/x-protobuf or application/json" in message


def test_no_media_type_is_unsupported(daemon: Daemon) -> None:
    status_message(post(daemon.ports["http"], b"{}", None), 415, JSON)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/x-protobuf; charset=utf-8",
        "Application/X-Protobuf",
        'application/x-protobuf;a="b"',
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
    ],
)
def test_media_types_take_parameters_and_any_case(daemon: Daemon, media_type: str) -> None:
    plain = media_type.partition(";")[0].lower()
    trace = trace_id()
    answer = post(daemon.ports["http"], encoded(request(span(trace_id=trace)), plain), media_type)
    succeeded(answer, plain)
    daemon.trace(trace)


@both
@pytest.mark.parametrize("coding", [*CODERS, "GZIP", "x-gzip", "Zstd"])
def test_codings(daemon: Daemon, coding: str, media_type: str) -> None:
    trace = trace_id()
    body = CODERS[coding.lower().removeprefix("x-")](encoded(request(span(trace_id=trace)), media_type))
    succeeded(post(daemon.ports["http"], body, media_type, {"Content-Encoding": coding}), media_type)
    daemon.trace(trace)


def test_all_gzip_members_are_the_body(daemon: Daemon) -> None:
    traces = [trace_id(), trace_id()]
    first, second = (request(span(trace_id=trace)).SerializeToString() for trace in traces)
    whole = first + second  # concatenated messages merge
    body = gzip.compress(whole[: len(first) - 5]) + gzip.compress(whole[len(first) - 5 :])
    succeeded(post(daemon.ports["http"], body, headers={"Content-Encoding": "gzip"}))
    for trace in traces:
        daemon.trace(trace)


@both
@pytest.mark.parametrize("coding", ["br", "snappy", "gzip, gzip", "x-unknown"])
def test_other_codings_are_refused_not_ignored(daemon: Daemon, coding: str, media_type: str) -> None:
    answer = export(daemon, span(), media_type=media_type, headers={"Content-Encoding": coding})
    assert coding in status_message(answer, 415, media_type)


@both
@pytest.mark.parametrize("damage", ["half", "header", "no trailer", "checksum", "plain", "empty", "garbage after"])
def test_broken_gzip_is_bad_data(daemon: Daemon, damage: str, media_type: str) -> None:
    plain = encoded(request(*(span({"x": os.urandom(32).hex()}) for _ in range(20))), media_type)
    body = gzip.compress(plain)
    broken = {
        "half": body[: len(body) // 2],
        "header": body[:10],
        "no trailer": body[:-8],
        "checksum": body[:-8] + bytes(4) + body[-4:],
        "plain": plain,
        "empty": b"",
        "garbage after": body + b"garbage",
    }[damage]
    answer = post(daemon.ports["http"], broken, media_type, {"Content-Encoding": "gzip"})
    assert "gzip" in status_message(answer, 400, media_type)


def test_gzip_without_saying_so_is_bad_data(daemon: Daemon) -> None:
    for media_type in (PROTOBUF, JSON):
        body = gzip.compress(encoded(request(span()), media_type))
        status_message(post(daemon.ports["http"], body, media_type), 400, media_type)


def test_answers_are_not_compressed(daemon: Daemon) -> None:
    answer = export(daemon, span(), headers={"Accept-Encoding": "gzip"})
    succeeded(answer)
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", PROTOBUF),
        (b"{}", JSON),
        (b'{"resourceSpans":[{},{"scopeSpans":[{}]}]}', JSON),
        (b"\x0a\x00\x0a\x02\x12\x00", PROTOBUF),
    ],
)
def test_empty_requests_succeed(daemon: Daemon, body: bytes, media_type: str) -> None:
    succeeded(post(daemon.ports["http"], body, media_type), media_type)


@both
@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"\x01" * 15},
        {"span_id": b""},
        {"span_id": bytes(8)},
        {"span_id": b"\x01" * 9},
    ],
)
def test_spans_without_valid_ids_are_counted_and_the_rest_is_stored(
    daemon: Daemon, ids: dict[str, Any], media_type: str
) -> None:
    trace = trace_id()
    kept = [span(trace_id=trace), span(trace_id=trace)]
    rejected, message = partial(export(daemon, kept[0], span(**ids), kept[1], media_type=media_type), media_type)
    assert rejected == 1
    assert message.startswith("1 of 3 spans were not stored: 1 with ")
    assert {found["SpanId"] for found in daemon.trace(trace, 2)} == {item.span_id.hex() for item in kept}


def test_a_request_of_only_invalid_spans_is_answered_shortly(daemon: Daemon) -> None:
    answer = export(daemon, *(span(trace_id=os.urandom(number % 15)) for number in range(5000)))
    rejected, message = partial(answer)
    assert rejected == 5000
    assert len(message) < 400


def test_a_repeated_request_is_answered_again_and_stored_once(daemon: Daemon) -> None:
    trace = trace_id()
    body = request(span(trace_id=trace)).SerializeToString()
    before = daemon.metric("spanmeter_dedupe_hits_total")
    for _ in range(3):
        succeeded(post(daemon.ports["http"], body))
    daemon.trace(trace)
    assert daemon.metric("spanmeter_dedupe_hits_total") >= before + 2


@both
@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_the_other_signals_are_checked_and_taken(daemon: Daemon, signal: str, media_type: str) -> None:
    message: Any
    if signal == "logs":
        message = ExportLogsServiceRequest()
        message.resource_logs.add().scope_logs.add().log_records.add().body.string_value = media_type
    else:
        message = ExportMetricsServiceRequest()
        scope = message.resource_metrics.add().scope_metrics.add()
        scope.metrics.add(name=media_type).gauge.data_points.add(as_double=1.5)
    name = f"spanmeter_receiver_accepted_{'log_records' if signal == 'logs' else 'metric_points'}_total"
    before = daemon.metric(name, transport="http")
    path = f"/some/prefix/v1/{signal}"
    succeeded(post(daemon.ports["http"], encoded(message, media_type), media_type, path=path), media_type)
    assert daemon.metric(name, transport="http") == before + 1
    status_message(post(daemon.ports["http"], b"\xff\xff", media_type, path=path), 400, media_type)
    status_message(post(daemon.ports["http"], b"x", None, path=path), 415, JSON)


def test_browsers_of_allowed_origins_may_send(tight: Daemon) -> None:
    for origin in ("https://app.example.com", "http://localhost:3000"):
        ask = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,content-encoding,authorization,x-api-key,x-custom",
        }
        preflight = post(tight.ports["http"], b"", None, ask, method="OPTIONS")
        assert preflight.status == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "x-custom" in preflight.headers["access-control-allow-headers"].lower()
        assert preflight.headers["access-control-max-age"] == "7200"
        answer = export(tight, span(), media_type=JSON, headers={"Origin": origin})
        succeeded(answer, JSON)
        assert answer.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://example.com", "https://app.example.com.evil.org", "http://app.example.com", "null"]
)
def test_browsers_of_other_origins_may_not(tight: Daemon, origin: str) -> None:
    ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight = post(tight.ports["http"], b"", None, ask, method="OPTIONS")
    assert preflight.status == 400
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in export(tight, span(), headers={"Origin": origin}).headers


def test_without_allowed_origins_no_browser_may_send(daemon: Daemon) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    answer = post(daemon.ports["http"], b"", JSON, headers, method="OPTIONS")
    status_message(answer, 405, JSON)
    assert "access-control-allow-origin" not in answer.headers
