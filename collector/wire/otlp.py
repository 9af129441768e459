"""The OTLP messages and the two rules every reader of them shares: how deep, and which ids are ids."""

import threading
from typing import Any

from google._upb import _message as upb
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.errors import Reason, Rejected
from collector.model.envelope import Signal

# AnyValue may nest this many arrays or key-value lists around a value. The specification sets no limit; the
# Collector settled on 100 messages, which is about 47 levels.
MAX_DEPTH = 100

# The messages that nest values, by name.
CONTAINERS = frozenset({"ArrayValue", "KeyValueList"})

# The fields that JSON has in hexadecimal digits rather than base64.
HEX_FIELDS = frozenset({"trace_id", "span_id", "parent_span_id"})

# Names that the table has for enums, by number.
SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES = ("Unset", "Ok", "Error")

REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
}

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)

# Protobuf's depth limit is a switch of the whole process: every parse holds this, so that none of untrusted bytes
# runs while the limit is lifted for checked ones.
_parsing = threading.Lock()


def valid_ids(trace_id: bytes, span_id: bytes) -> bool:
    """trace.proto: a trace id is 16 bytes, a span id 8, neither all zero."""
    return len(trace_id) == 16 and len(span_id) == 8 and trace_id != _NO_TRACE and span_id != _NO_SPAN


def parse(message: Any, payload: bytes) -> Any:
    """`payload` as an instance of the protobuf class `message`.

    Raises Rejected(MALFORMED) when it does not decode. Values nested more than about 47 levels deep do not decode
    here: protobuf stops at 100 messages, and a check in Python would cost every request.
    """
    with _parsing:
        return _parse(message, payload)


def parse_checked(message: Any, payload: bytes) -> Any:
    """Like `parse`, for payloads whose depth is known to be within MAX_DEPTH: lifts protobuf's own limit."""
    with _parsing:
        try:
            return _parse(message, payload)
        except Rejected:
            upb.SetAllowOversizeProtos(True)
            try:
                return _parse(message, payload)
            finally:
                upb.SetAllowOversizeProtos(False)


def _parse(message: Any, payload: bytes) -> Any:
    try:
        return message.FromString(payload)
    except DecodeError:
        raise Rejected(Reason.MALFORMED, f"The body is no {message.DESCRIPTOR.name} in protobuf encoding.") from None
