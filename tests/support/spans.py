"""Export requests for tests about what happens to them, not about what is in them."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model.envelope import Envelope

# 2026-01-02 03:04:05 UTC
START_NS = 1_767_323_045_000_000_000
DAY_NS = 86_400 * 1_000_000_000


def request(trace: int, names: list[str], *, start_ns: int = START_NS, text: str = "") -> bytes:
    """One request with a span for each name, all of trace number `trace`, ids counted from 1."""
    message: Any = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    service = resource.resource.attributes.add(key="service.name")
    service.value.string_value = "durability-test"
    scope = resource.scope_spans.add()
    for number, name in enumerate(names, 1):
        span = scope.spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=name,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + 1_000_000,
        )
        if text:
            span.attributes.add(key="text").value.string_value = text
    payload: bytes = message.SerializeToString()
    return payload


def envelope(trace: int, names: list[str], *, start_ns: int = START_NS, received_at: int = START_NS) -> Envelope:
    """An accepted request of project `default`."""
    return Envelope("default", received_at, len(names), request(trace, names, start_ns=start_ns))
