"""OTLP/gRPC: codes, limits, compression, and HTTP/2 by hand."""

import contextlib
import gzip
import os
import socket
import zlib
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from tests.support.daemon import Daemon
from tests.support.exporters import EXPORT, RETRYABLE
from tests.support.memory import MIB
from tests.support.otlp import request, span, trace_id
from tests.support.wire import Called, call, channel, frame, raw_call

OK = grpc.StatusCode.OK
BODY = request(span({"k": "v"})).SerializeToString()
FINAL = {code.value[0] for code in grpc.StatusCode} - {code.value[0] for code in RETRYABLE} - {0, 2}


def raw(daemon: Daemon, *frames: bytes, **how: Any) -> int | str:
    return raw_call(daemon.ports["grpc"], frames, **how)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_success_leaves_partial_success_unset_and_is_stored(daemon: Daemon, compression: Any) -> None:
    trace = trace_id()
    body = request(span({"pad": "x" * 2000}, trace_id=trace)).SerializeToString()
    called = call(daemon.grpc, body, compression=compression)
    assert called.code is OK, called
    assert not called.response.HasField("partial_success")
    assert daemon.trace(trace)[0]["SpanAttributes"] == {"pad": "x" * 2000}


def test_an_empty_request_succeeds(daemon: Daemon) -> None:
    assert call(daemon.grpc, b"").code is OK


def test_partial_success(daemon: Daemon) -> None:
    trace = trace_id()
    body = request(span(trace_id=b""), span(trace_id=trace), span(span_id=bytes(8))).SerializeToString()
    partial = call(daemon.grpc, body).response.partial_success
    assert partial.rejected_spans == 2
    assert partial.error_message == "2 of 3 spans were not stored: 1 with no trace id; 1 with an all-zero span id."
    daemon.trace(trace)


@pytest.mark.parametrize("method", [EXPORT + "s", EXPORT.replace("v1", "v2"), "/x.Y/Z", "/"])
def test_unknown_methods_are_unimplemented(daemon: Daemon, method: str) -> None:
    assert call(daemon.grpc, BODY, method=method).code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_too_large_is_resource_exhausted_and_not_to_be_retried(tight: Daemon, compression: Any) -> None:
    called = call(tight.grpc, request(span({"pad": "x" * 2 * MIB})).SerializeToString(), compression=compression)
    assert called.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not called.retry


def test_just_below_the_limit_is_taken(tight: Daemon) -> None:
    assert call(tight.grpc, request(span({"pad": "x" * (MIB - 200)})).SerializeToString()).code is OK


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_the_other_signals_are_answered(daemon: Daemon, signal: str) -> None:
    method = f"/opentelemetry.proto.collector.{signal}.v1.{signal.capitalize()}Service/Export"
    message: Any
    response: Any
    if signal == "logs":
        message, response = ExportLogsServiceRequest(), ExportLogsServiceResponse
        message.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "x"
    else:
        message, response = ExportMetricsServiceRequest(), ExportMetricsServiceResponse
        scope = message.resource_metrics.add().scope_metrics.add()
        scope.metrics.add(name="m").gauge.data_points.add(as_double=1.5)
    called = call(daemon.grpc, message.SerializeToString(), method=method, response=response)
    assert called.code is OK
    assert not called.response.HasField("partial_success")
    assert call(daemon.grpc, b"\xff", method=method, response=response).code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("service", ["", EXPORT.split("/")[1]])
def test_health(daemon: Daemon, service: str) -> None:
    body = HealthCheckRequest(service=service).SerializeToString()
    called = call(daemon.grpc, body, method="/grpc.health.v1.Health/Check", response=HealthCheckResponse)
    assert called.response.status == HealthCheckResponse.SERVING


def test_odd_metadata_is_ignored(daemon: Daemon) -> None:
    assert call(daemon.grpc, BODY, metadata=[("x-binary-bin", b"\x00\xff"), ("x-other", "a b")]).code is OK


def test_many_calls_at_once_on_one_channel(daemon: Daemon) -> None:
    traces = [trace_id() for _ in range(300)]
    with channel(daemon.grpc) as opened:
        export = opened.unary_unary(EXPORT)
        calls = [export.future(request(span(trace_id=trace)).SerializeToString(), timeout=60) for trace in traces]
        for pending in calls:
            assert pending.result() == b""
    for trace in traces[::100]:
        daemon.trace(trace)


def test_cancelled_calls_and_tiny_deadlines_harm_nobody(daemon: Daemon) -> None:
    with channel(daemon.grpc) as opened:
        export = opened.unary_unary(EXPORT)
        for number in range(100):
            pending = export.future(request(span()).SerializeToString(), timeout=0.001 if number % 2 else 10)
            pending.cancel()
    assert call(daemon.grpc, request(span()).SerializeToString()).code is OK


# -- HTTP/2 by hand ---------------------------------------------------------------------------------------------------


def test_a_call_by_hand_is_ok(daemon: Daemon) -> None:
    assert raw(daemon, frame(request(span()).SerializeToString())) == 0
    assert raw(daemon, frame(request(span()).SerializeToString()), content_type="application/grpc+proto") == 0


def test_half_closed_without_a_message(daemon: Daemon) -> None:
    """A unary handler of the library would never be called, and the client would wait for ever."""
    assert raw(daemon) == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_half_closed_within_a_message(daemon: Daemon) -> None:
    assert raw(daemon, frame(BODY, length=len(BODY) + 10)) in FINAL


def test_a_message_that_never_comes(tight: Daemon) -> None:
    assert raw(tight, ends=False) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert raw(tight, frame(BODY, length=len(BODY) + 10), ends=False) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_a_length_that_is_only_claimed(daemon: Daemon) -> None:
    with daemon.growth() as growth:
        assert raw(daemon, frame(BODY, length=2**32 - 1)) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert growth.mib < 16


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_by_hand(daemon: Daemon, coding: str, encode: Any) -> None:
    trace = trace_id()
    message = encode(request(span(trace_id=trace)).SerializeToString())
    assert raw(daemon, frame(message, 1), headers=[("grpc-encoding", coding)]) == 0
    daemon.trace(trace)


@pytest.mark.parametrize(
    "message", [b"\x1f\x8b\x08" + b"\xff" * 30, gzip.compress(BODY, mtime=0)[:-9], gzip.compress(BODY, mtime=0) + b"x"]
)
def test_broken_gzip_is_final(daemon: Daemon, message: bytes) -> None:
    sent = raw(daemon, frame(message, 1), headers=[("grpc-encoding", "gzip")])
    assert sent == grpc.StatusCode.INVALID_ARGUMENT.value[0]


@pytest.mark.parametrize("coding", ["x-unknown", "zstd", "snappy"])
def test_an_unknown_coding_is_final(daemon: Daemon, coding: str) -> None:
    """INTERNAL, from inside the library, before any handler is asked; the specification wants UNIMPLEMENTED."""
    assert raw(daemon, frame(zlib.compress(BODY), 1), headers=[("grpc-encoding", coding)]) in FINAL


def test_a_compressed_flag_without_a_coding_is_final(daemon: Daemon) -> None:
    assert raw(daemon, frame(gzip.compress(BODY), 1)) in FINAL


def test_a_gzip_bomb_is_refused_within_bounded_memory(daemon: Daemon) -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join([*(stream.compress(bytes(MIB)) for _ in range(256)), stream.flush()])
    with daemon.growth() as growth:
        code = raw(daemon, frame(bomb, 1), headers=[("grpc-encoding", "gzip")])
    print(f"gzip bomb of 256 MiB over gRPC: resident memory grew by {growth.mib:.0f} MiB")
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    assert growth.mib < 2 * 64 + 64


def test_a_get_is_an_error(daemon: Daemon) -> None:
    assert raw(daemon, method="GET") not in (0, "timeout")


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(64),
        bytes(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    ],
)
def test_what_is_not_http2_harms_nobody(daemon: Daemon, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", daemon.ports["grpc"]), timeout=3) as sock:
        sock.sendall(garbage)
        with contextlib.suppress(OSError):
            while sock.recv(65536):
                pass
    assert call(daemon.grpc, request(span()).SerializeToString()).code is OK


def test_half_open_connections_delay_nobody(daemon: Daemon) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with contextlib.ExitStack() as opened:
        for number in range(100):
            sock = opened.enter_context(socket.create_connection(("127.0.0.1", daemon.ports["grpc"]), timeout=5))
            sock.sendall(preface[: 10 + number % 14])
        for _ in range(5):
            called: Called = call(daemon.grpc, request(span({"r": os.urandom(4)})).SerializeToString())
            assert called.code is OK
