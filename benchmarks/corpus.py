"""Export requests made of GenAI chat spans: words drawn by Zipf's law, so that text compresses about as prose does."""

import json
import os
import random
import time
from itertools import accumulate

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SPANS_PER_TRACE = 10
RESPONSE_ID = "chatcmpl-"
RESPONSE_ID_DIGITS = 24

_LETTERS = "etaoinshrdlucmfwypvbgk"
_VOCABULARY = 4_000


def requests(count: int, spans: int, content_bytes: int = 1000) -> list[bytes]:
    """`count` encoded requests of `spans` spans each; `content_bytes` of text a span, split over input and output."""
    writer = Writer()
    return [writer.request(spans, content_bytes).SerializeToString() for _ in range(count)]


class Writer:
    """Writes requests whose ids, token counts and texts differ from span to span."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        letters = random.Random(1)
        self._words = ["".join(letters.choices(_LETTERS, k=letters.randint(2, 9))) for _ in range(_VOCABULARY)]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(_VOCABULARY)))

    def request(self, spans: int, content_bytes: int) -> ExportTraceServiceRequest:
        """One resource, one scope, a new trace every ten spans."""
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        resource.resource.attributes.extend(
            [_text("service.name", "support-agent"), _text("service.version", "1.4.2"), _text("host.name", "worker-7")]
        )
        scope = resource.scope_spans.add()
        scope.scope.name = "opentelemetry.instrumentation.genai"
        trace_id = b""
        for position in range(spans):
            if position % SPANS_PER_TRACE == 0:
                trace_id = os.urandom(15) + b"\1"
            scope.spans.append(self._span(trace_id, position, content_bytes))
        return request

    def _span(self, trace_id: bytes, position: int, content_bytes: int) -> Span:
        number = self._random.randint
        end = time.time_ns() + position
        span = Span(
            trace_id=trace_id,
            span_id=os.urandom(7) + b"\1",
            name="chat gpt-4o-mini",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=end - number(200_000_000, 4_000_000_000),
            end_time_unix_nano=end,
        )
        span.attributes.extend(
            [
                _text("gen_ai.operation.name", "chat"),
                _text("gen_ai.provider.name", "openai"),
                _text("gen_ai.request.model", "gpt-4o-mini"),
                _text("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
                _text("gen_ai.response.id", RESPONSE_ID + os.urandom(RESPONSE_ID_DIGITS // 2).hex()),
                _number("gen_ai.usage.input_tokens", number(600, 6_000)),
                _number("gen_ai.usage.output_tokens", number(20, 900)),
                _number("gen_ai.usage.cache_read.input_tokens", number(0, 512)),
                _text("gen_ai.input.messages", self._message("user", content_bytes * 3 // 4)),
                _text("gen_ai.output.messages", self._message("assistant", content_bytes // 4)),
            ]
        )
        return span

    def _message(self, role: str, size: int) -> str:
        words = " ".join(self._random.choices(self._words, cum_weights=self._weights, k=size // 5 + 1))[:size]
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": words.ljust(size, ".")}]}])


def _text(key: str, value: str) -> KeyValue:
    pair = KeyValue(key=key)
    pair.value.string_value = value
    return pair


def _number(key: str, value: int) -> KeyValue:
    pair = KeyValue(key=key)
    pair.value.int_value = value
    return pair
