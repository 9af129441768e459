"""One table from a failure's reason to gRPC's codes, beside that of HTTP, and the bodies OTLP demands.

OTLP specification: retryable is gRPC UNAVAILABLE; bad data is INVALID_ARGUMENT; oversize is RESOURCE_EXHAUSTED without
RetryInfo; every error body is a google.rpc.Status in the request's encoding.
"""

import json
from dataclasses import dataclass
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.envelope import Encoding
from collector.model.http_status import HTTP_STATUS, OTHER_HTTP_STATUS


@dataclass(frozen=True, slots=True)
class Wire:
    """How a failure looks to a client."""

    grpc: int  # a google.rpc.Code
    http: int


_GRPC: Final = {
    Reason.MALFORMED: code_pb2.INVALID_ARGUMENT,
    Reason.TOO_DEEP: code_pb2.INVALID_ARGUMENT,
    Reason.INVALID_ID: code_pb2.INVALID_ARGUMENT,
    Reason.TOO_LARGE: code_pb2.RESOURCE_EXHAUSTED,
    Reason.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Reason.FORBIDDEN: code_pb2.PERMISSION_DENIED,
    Reason.NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.METHOD: code_pb2.UNIMPLEMENTED,
    Reason.PROTOCOL: code_pb2.INVALID_ARGUMENT,
    Reason.MEDIA_TYPE: code_pb2.INVALID_ARGUMENT,
    Reason.ENCODING: code_pb2.UNIMPLEMENTED,
    Reason.SLOW: code_pb2.DEADLINE_EXCEEDED,
    Reason.BUSY: code_pb2.UNAVAILABLE,
    Reason.SPOOL_FULL: code_pb2.UNAVAILABLE,
    Reason.DISK: code_pb2.UNAVAILABLE,
    Reason.STOPPING: code_pb2.UNAVAILABLE,
    Reason.STORE: code_pb2.UNAVAILABLE,
    Reason.CAPTURE: code_pb2.UNAVAILABLE,
}

WIRE: Final = {reason: Wire(code, HTTP_STATUS[reason]) for reason, code in _GRPC.items()}

# A reason outside the table is a failure of ours: the client keeps its data and tries again.
_OTHER = Wire(code_pb2.UNAVAILABLE, OTHER_HTTP_STATUS)


def wire(error: SpanmeterError) -> Wire:
    """The table's entry for `error`."""
    reason = getattr(error, "reason", None)
    return WIRE.get(reason, _OTHER) if isinstance(reason, Reason) else _OTHER


def status(error: SpanmeterError) -> Status:
    """The google.rpc.Status of `error`, with RetryInfo when a retry may succeed."""
    message = Status(code=wire(error).grpc, message=str(error))
    if isinstance(error, Unavailable):
        delay = Duration()
        delay.FromNanoseconds(int(error.retry_after * 1e9))
        detail = AnyMessage()
        detail.Pack(RetryInfo(retry_delay=delay))
        message.details.append(detail)
    return message


def error_body(error: SpanmeterError, encoding: Encoding) -> bytes:
    """The body of an HTTP error in the request's encoding."""
    if encoding is Encoding.PROTOBUF:
        return bytes(status(error).SerializeToString())
    return json.dumps({"code": wire(error).grpc, "message": str(error)}).encode()
