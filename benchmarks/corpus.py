"""Export requests made of GenAI chat spans, about 1.6 KB each, with ids that never repeat."""

import json
import os
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_TEXT = "the agent reads a ticket looks up the order and drafts an answer for the customer to review"
_WORDS = _TEXT.split()


def requests(count: int, spans: int, content_bytes: int = 1000) -> list[bytes]:
    """`count` requests of `spans` spans each, encoded; `content_bytes` is split over input and output."""
    return [_request(number, spans, content_bytes).SerializeToString() for number in range(count)]


def _request(number: int, spans: int, content_bytes: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(
        [_text("service.name", "support-agent"), _text("service.version", "1.4.2"), _text("host.name", "worker-7")]
    )
    scope = resource.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.genai"
    trace_id = b""
    for position in range(spans):
        if position % 10 == 0:
            trace_id = os.urandom(15) + b"\1"
        scope.spans.append(_span(trace_id, number * spans + position, content_bytes))
    return request


def _span(trace_id: bytes, number: int, content_bytes: int) -> Span:
    end = time.time_ns()
    span = Span(
        trace_id=trace_id,
        span_id=os.urandom(7) + b"\1",
        name="chat gpt-4o-mini",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end - 800_000_000,
        end_time_unix_nano=end,
    )
    span.attributes.extend(
        [
            _text("gen_ai.operation.name", "chat"),
            _text("gen_ai.provider.name", "openai"),
            _text("gen_ai.request.model", "gpt-4o-mini"),
            _text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            _text("gen_ai.response.id", f"chatcmpl-{number:012d}"),
            _number("gen_ai.usage.input_tokens", 900 + number % 300),
            _number("gen_ai.usage.output_tokens", 40 + number % 80),
            _number("gen_ai.usage.cache_read.input_tokens", number % 512),
            _text("gen_ai.input.messages", _message("user", content_bytes * 3 // 4, number)),
            _text("gen_ai.output.messages", _message("assistant", content_bytes // 4, number)),
        ]
    )
    return span


def _message(role: str, size: int, number: int) -> str:
    words: list[str] = [str(number)]
    while sum(map(len, words)) + len(words) < size:
        words.append(_WORDS[(number + 7 * len(words)) % len(_WORDS)])
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": " ".join(words)[:size]}]}])


def _text(key: str, value: str) -> KeyValue:
    pair = KeyValue(key=key)
    pair.value.string_value = value
    return pair


def _number(key: str, value: int) -> KeyValue:
    pair = KeyValue(key=key)
    pair.value.int_value = value
    return pair
