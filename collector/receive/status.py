"""One table from a failure's reason to the wire, and the bodies OTLP demands.

OTLP specification: retryable are HTTP 429, 502, 503, 504 and gRPC UNAVAILABLE; bad data is 400 / INVALID_ARGUMENT;
oversize is 413 / RESOURCE_EXHAUSTED without RetryInfo; every error body is a google.rpc.Status in the request's
encoding. Whatever is worth a retry is 503 here, never 429: several SDKs (Python's among them) drop data on 429.
"""

import json
import math
from dataclasses import dataclass
from typing import Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.envelope import Encoding


@dataclass(frozen=True, slots=True)
class Wire:
    """How a failure looks to a client."""

    grpc: StatusCode
    http: int


WIRE: Final = {
    Reason.MALFORMED: Wire(StatusCode.INVALID_ARGUMENT, 400),
    Reason.TOO_DEEP: Wire(StatusCode.INVALID_ARGUMENT, 400),
    Reason.INVALID_ID: Wire(StatusCode.INVALID_ARGUMENT, 400),
    Reason.TOO_LARGE: Wire(StatusCode.RESOURCE_EXHAUSTED, 413),
    Reason.UNAUTHENTICATED: Wire(StatusCode.UNAUTHENTICATED, 401),
    Reason.FORBIDDEN: Wire(StatusCode.PERMISSION_DENIED, 403),
    Reason.NOT_FOUND: Wire(StatusCode.NOT_FOUND, 404),
    Reason.METHOD: Wire(StatusCode.UNIMPLEMENTED, 405),
    Reason.MEDIA_TYPE: Wire(StatusCode.INVALID_ARGUMENT, 415),
    Reason.ENCODING: Wire(StatusCode.UNIMPLEMENTED, 415),
    Reason.SLOW: Wire(StatusCode.DEADLINE_EXCEEDED, 408),
    Reason.BUSY: Wire(StatusCode.UNAVAILABLE, 503),
    Reason.SPOOL_FULL: Wire(StatusCode.UNAVAILABLE, 503),
    Reason.DISK: Wire(StatusCode.UNAVAILABLE, 503),
    Reason.STOPPING: Wire(StatusCode.UNAVAILABLE, 503),
    Reason.STORE: Wire(StatusCode.UNAVAILABLE, 503),
}

# A reason outside the table is a failure of ours: the client keeps its data and tries again.
_OTHER = Wire(StatusCode.UNAVAILABLE, 503)


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


def retry_after(error: SpanmeterError) -> str | None:
    """Retry-After in whole seconds, for errors worth a retry."""
    return str(max(1, math.ceil(error.retry_after))) if isinstance(error, Unavailable) else None
