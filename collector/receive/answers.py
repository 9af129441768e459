"""Successful answers: the Export*ServiceResponse of each signal in either encoding.

partial_success stays unset on full success; otherwise it has the number refused and a short reason.
"""

import json
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
