"""Model calls as a test thinks of them, and the export requests that tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.model.envelope import Envelope

# USD per million tokens, in and out alike: a token costs so many millionths.
PRICES = {"small-model": 1, "large-model": 10}
OVERRIDES = [{"model": model, "input": price, "output": price} for model, price in PRICES.items()]


@dataclass(frozen=True)
class Call:
    """A span: a call of `tokens` input tokens, or, with 0, a step of the run that costs nothing."""

    trace: int
    span: int
    start_ns: int
    tokens: int = 0
    model: str = "small-model"
    parent: int = 0
    service: str = "shop"
    environment: str = ""
    feature: str = ""
    user: str = ""
    agent: str = ""
    conversation: str = ""
    lease: str = ""
    project: str = "default"
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def trace_id(self) -> str:
        return self.trace.to_bytes(16, "big").hex()

    @property
    def span_id(self) -> str:
        return self.span.to_bytes(8, "big").hex()


def request(calls: Sequence[Call]) -> bytes:
    """One export request; calls of different services or environments are of different resources."""
    message: Any = ExportTraceServiceRequest()
    for call in calls:
        resource = message.resource_spans.add()
        _say(resource.resource, {"service.name": call.service, "deployment.environment.name": call.environment})
        span = resource.scope_spans.add().spans.add(
            trace_id=call.trace.to_bytes(16, "big"),
            span_id=call.span.to_bytes(8, "big"),
            parent_span_id=call.parent.to_bytes(8, "big") if call.parent else b"",
            name="call" if call.tokens else "step",
            start_time_unix_nano=call.start_ns,
            end_time_unix_nano=call.start_ns + 1_000_000,
        )
        said = {
            "spanmeter.feature": call.feature,
            "spanmeter.user": call.user,
            "spanmeter.agent": call.agent,
            "spanmeter.conversation": call.conversation,
            "spanmeter.lease": call.lease,
            **call.attributes,
        }
        if call.tokens:
            said |= {"spanmeter.kind": "llm", "spanmeter.model": call.model}
            span.attributes.add(key="spanmeter.usage.input_tokens").value.int_value = call.tokens
        _say(span, said)
    payload: bytes = message.SerializeToString()
    return payload


def _say(place: Any, attributes: Mapping[str, str]) -> None:
    for key, value in attributes.items():
        if value:
            place.attributes.add(key=key).value.string_value = value


def envelope(calls: Sequence[Call], received_at: int) -> Envelope:
    """The calls, of one project, as an accepted request."""
    assert len({call.project for call in calls}) == 1
    return Envelope(calls[0].project, received_at, len(calls), request(calls))
