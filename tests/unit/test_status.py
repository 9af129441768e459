"""The table from failures to the wire: complete, and retryable exactly where a retry may help."""

import json

import pytest
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector.errors import Reason, Rejected, SpanmeterError, StartError, Unavailable
from collector.model.envelope import Encoding, Receipt, Signal
from collector.model.http_status import HTTP_STATUS, http_status, retry_after
from collector.receive.answers import success_body
from collector.receive.status import WIRE, error_body, status, wire

INSIDE_ONLY = {Reason.POISON, Reason.CORRUPT, Reason.FATAL, Reason.DEAD_LETTER_FULL, Reason.SIGNAL, Reason.INTERNAL}
WORTH_A_RETRY = {Reason.BUSY, Reason.SPOOL_FULL, Reason.DISK, Reason.STOPPING, Reason.STORE, Reason.CAPTURE}

# OTLP specification, "Failures": what clients send again. 429 counts as retryable but several SDKs drop data on it.
HTTP_RETRYABLE = {429, 502, 503, 504}
GRPC_RETRYABLE = {
    code_pb2.CANCELLED,
    code_pb2.DEADLINE_EXCEEDED,
    code_pb2.ABORTED,
    code_pb2.OUT_OF_RANGE,
    code_pb2.UNAVAILABLE,
    code_pb2.DATA_LOSS,
}


def test_every_reason_a_client_can_meet_has_an_entry() -> None:
    assert set(WIRE) == set(HTTP_STATUS) == set(Reason) - INSIDE_ONLY


@pytest.mark.parametrize("reason", sorted(WIRE))
def test_retryable_is_what_is_worth_a_retry(reason: Reason) -> None:
    entry = WIRE[reason]
    assert (entry.http in HTTP_RETRYABLE) == (reason in WORTH_A_RETRY)
    assert entry.http not in (429, 500)
    if reason is not Reason.SLOW:  # a slow sender over gRPC may be lucky the next time
        assert (entry.grpc in GRPC_RETRYABLE) == (reason in WORTH_A_RETRY)
    assert entry.grpc not in (code_pb2.OK, code_pb2.UNKNOWN)


def test_what_the_specification_names() -> None:
    assert (WIRE[Reason.MALFORMED].grpc, WIRE[Reason.MALFORMED].http) == (code_pb2.INVALID_ARGUMENT, 400)
    assert (WIRE[Reason.TOO_LARGE].grpc, WIRE[Reason.TOO_LARGE].http) == (code_pb2.RESOURCE_EXHAUSTED, 413)
    assert (WIRE[Reason.UNAUTHENTICATED].grpc, WIRE[Reason.UNAUTHENTICATED].http) == (code_pb2.UNAUTHENTICATED, 401)
    assert (WIRE[Reason.FORBIDDEN].grpc, WIRE[Reason.FORBIDDEN].http) == (code_pb2.PERMISSION_DENIED, 403)
    assert (WIRE[Reason.METHOD].http, WIRE[Reason.MEDIA_TYPE].http, WIRE[Reason.NOT_FOUND].http) == (405, 415, 404)


def test_a_rejection_is_final() -> None:
    error = Rejected(Reason.TOO_LARGE, "The body is too large.")
    assert retry_after(error) is None
    found = status(error)
    assert (found.code, found.message, len(found.details)) == (8, "The body is too large.", 0)


@pytest.mark.parametrize(("seconds", "header"), [(0.2, "1"), (1, "1"), (1.5, "2"), (30, "30")])
def test_what_may_succeed_later_says_when(seconds: float, header: str) -> None:
    error = Unavailable(Reason.SPOOL_FULL, "The spool is full.", seconds)
    assert retry_after(error) == header
    (detail,) = status(error).details
    info = RetryInfo()
    assert detail.Unpack(info)
    assert info.retry_delay.ToTimedelta().total_seconds() == seconds


@pytest.mark.parametrize("error", [StartError("odd"), SpanmeterError("odd"), Rejected(Reason.POISON, "odd")])
def test_a_failure_outside_the_table_is_ours_and_the_client_keeps_its_data(error: SpanmeterError) -> None:
    assert (wire(error).grpc, wire(error).http, http_status(error)) == (code_pb2.UNAVAILABLE, 503, 503)


def test_error_bodies_are_a_status_in_the_requests_encoding() -> None:
    for error in (Rejected(Reason.MALFORMED, 'Not "OTLP" \u2603.'), Unavailable(Reason.BUSY, "Busy.", 2)):
        assert Status.FromString(error_body(error, Encoding.PROTOBUF)) == status(error)
        document = json.loads(error_body(error, Encoding.JSON))
        assert document["message"] == str(error)
        assert document["code"] == wire(error).grpc


@pytest.mark.parametrize("signal", Signal)
def test_full_success_leaves_partial_success_unset(signal: Signal) -> None:
    assert success_body(Receipt(accepted=5), signal, Encoding.PROTOBUF) == b""
    assert json.loads(success_body(Receipt(accepted=5), signal, Encoding.JSON)) == {}


def test_partial_success_in_both_encodings() -> None:
    receipt = Receipt(1, 2, "2 of 3 spans were not stored.")
    document = json.loads(success_body(receipt, Signal.TRACES, Encoding.JSON))
    assert document == {"partialSuccess": {"rejectedSpans": "2", "errorMessage": receipt.message}}
    raw = success_body(receipt, Signal.TRACES, Encoding.PROTOBUF)
    inner = b"\x08\x02\x12" + bytes([len(receipt.message)]) + receipt.message.encode()
    assert raw == b"\x0a" + bytes([len(inner)]) + inner
