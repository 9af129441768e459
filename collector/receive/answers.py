"""Answers: the Export*ServiceResponse of each signal in either encoding, and HTTP responses.

partial_success stays unset on full success; otherwise it has the number refused and a short reason.
"""

import json
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collector.model.envelope import Encoding, Receipt, Signal

_RESPONSES: dict[Signal, tuple[Any, str, str]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


def success_body(receipt: Receipt, signal: Signal, encoding: Encoding) -> bytes:
    """The response body for `receipt`."""
    message, field, json_field = _RESPONSES[signal]
    if encoding is Encoding.JSON:
        partial = {json_field: str(receipt.rejected), "errorMessage": receipt.message}
        return json.dumps({"partialSuccess": partial} if receipt.rejected else {}).encode()
    if not receipt.rejected:
        return b""
    response = message()
    setattr(response.partial_success, field, receipt.rejected)
    response.partial_success.error_message = receipt.message
    return bytes(response.SerializeToString())


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def date_line() -> bytes:
    """The Date header of now."""
    return f"date: {formatdate(usegmt=True)}\r\n".encode()


def http_response(status: int, encoding: Encoding | None, body: bytes, lines: bytes) -> bytes:
    """A whole response; `lines` are further header lines, each with its end."""
    media_type = b"content-type: %s\r\n" % encoding.value.encode() if encoding else b""
    return b"%s%scontent-length: %d\r\n%s\r\n%s" % (_STATUS_LINES[status], media_type, len(body), lines, body)
