"""What the benchmarks send: valid requests whose ids never repeat, however few of them were encoded."""

import json
import time
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.corpus import SPANS_PER_TRACE, Writer
from benchmarks.templates import Encoding, Template
from collector.admit.validate import validate_traces
from collector.model.envelope import Encoding as MediaType

_MEDIA_TYPES = {"protobuf": MediaType.PROTOBUF, "json": MediaType.JSON}


def spans_of(body: bytes, encoding: Encoding) -> list[Any]:
    """The spans as the daemon would spool them."""
    validated = validate_traces(body, _MEDIA_TYPES[encoding])
    assert validated.receipt.rejected == 0
    request: Any = ExportTraceServiceRequest.FromString(validated.payload)
    return list(request.resource_spans[0].scope_spans[0].spans)


def attributes(span: Any) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes}


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("count", [1, 16, 51])
def test_every_request_is_valid_and_has_ids_of_its_own(encoding: Encoding, count: int) -> None:
    template = Template(Writer(7).request(count, 200), encoding)
    now = time.time_ns()
    bodies = [template.fresh(now + number) for number in range(20)]
    assert len({len(body) for body in bodies}) == 1
    requests = [spans_of(body, encoding) for body in bodies]
    spans = [span for request in requests for span in request]
    assert len(spans) == 20 * count
    assert len({(span.trace_id, span.span_id) for span in spans}) == len(spans)
    assert len({span.span_id for span in spans}) == len(spans)
    assert len({attributes(span)["gen_ai.response.id"] for span in spans}) == len(spans)
    traces = -(-count // SPANS_PER_TRACE)
    assert [len({span.trace_id for span in request}) for request in requests] == [traces] * 20
    assert len({span.trace_id for span in spans}) == 20 * traces


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_only_ids_and_times_differ_from_the_encoded_request(encoding: Encoding) -> None:
    request = Writer(7).request(12, 300)
    now = time.time_ns() + 3_600_000_000_000
    fresh = spans_of(Template(request, encoding).fresh(now), encoding)
    written = request.resource_spans[0].scope_spans[0].spans
    assert max(span.end_time_unix_nano for span in fresh) == now
    for span, original in zip(fresh, written, strict=True):
        assert (
            span.end_time_unix_nano - span.start_time_unix_nano
            == original.end_time_unix_nano - original.start_time_unix_nano
        )
        for name in ("trace_id", "span_id"):
            assert getattr(span, name) != getattr(original, name)
        assert (span.name, span.kind, len(span.parent_span_id)) == (original.name, original.kind, 0)
        ours, theirs = attributes(span), attributes(original)
        assert ours.pop("gen_ai.response.id") != theirs.pop("gen_ai.response.id")
        assert ours == theirs


def test_texts_have_the_size_asked_for_and_differ() -> None:
    (span, other) = Writer(7).request(2, 4000).resource_spans[0].scope_spans[0].spans
    prompt, answer = (attributes(span)[f"gen_ai.{name}.messages"] for name in ("input", "output"))
    assert [len(json.loads(text)[0]["parts"][0]["content"]) for text in (prompt, answer)] == [3000, 1000]
    assert attributes(other)["gen_ai.input.messages"] != prompt
