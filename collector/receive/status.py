"""One table from a failure's reason to gRPC's codes, beside that of HTTP, and the bodies OTLP demands.

OTLP specification: retryable is gRPC UNAVAILABLE; bad data is INVALID_ARGUMENT; oversize is RESOURCE_EXHAUSTED without
RetryInfo; every error body is a google.rpc.Status in the request's encoding.
"""

import json
from dataclasses import dataclass
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.envelope import Encoding
from collector.model.refusals import HTTP_STATUS, OTHER_HTTP_STATUS


@dataclass(frozen=True, slots=True)
class Wire:
    """How a failure looks to a client."""

    grpc: StatusCode
    http: int


_GRPC: Final = {
    Reason.MALFORMED: StatusCode.INVALID_ARGUMENT,
    Reason.TOO_DEEP: StatusCode.INVALID_ARGUMENT,
    Reason.INVALID_ID: StatusCode.INVALID_ARGUMENT,
    Reason.TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    Reason.UNAUTHENTICATED: StatusCode.UNAUTHENTICATED,
    Reason.FORBIDDEN: StatusCode.PERMISSION_DENIED,
    Reason.NOT_FOUND: StatusCode.NOT_FOUND,
    Reason.METHOD: StatusCode.UNIMPLEMENTED,
    Reason.MEDIA_TYPE: StatusCode.INVALID_ARGUMENT,
    Reason.ENCODING: StatusCode.UNIMPLEMENTED,
    Reason.SLOW: StatusCode.DEADLINE_EXCEEDED,
    Reason.BUSY: StatusCode.UNAVAILABLE,
    Reason.SPOOL_FULL: StatusCode.UNAVAILABLE,
    Reason.DISK: StatusCode.UNAVAILABLE,
    Reason.STOPPING: StatusCode.UNAVAILABLE,
    Reason.STORE: StatusCode.UNAVAILABLE,
}

WIRE: Final = {reason: Wire(code, HTTP_STATUS[reason]) for reason, code in _GRPC.items()}

# A reason outside the table is a failure of ours: the client keeps its data and tries again.
_OTHER = Wire(StatusCode.UNAVAILABLE, OTHER_HTTP_STATUS)


def wire(error: SpanmeterError) -> Wire:
    """The table's entry for `error`."""
    reason = getattr(error, "reason", None)
    return WIRE.get(reason, _OTHER) if isinstance(reason, Reason) else _OTHER


def status(error: SpanmeterError) -> Status:
    """The google.rpc.Status of `error`, with RetryInfo when a retry may succeed."""
    message = Status(code=wire(error).grpc.value[0], message=str(error))
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
    return json.dumps({"code": wire(error).grpc.value[0], "message": str(error)}).encode()
