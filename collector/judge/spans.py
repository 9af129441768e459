"""What judging leaves as telemetry: a trace of its own, linked to the run that was judged and no part of it."""

import json
import secrets
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from collector import __version__
from collector.judge.dialects import ModelAnswer
from collector.judge.prompt import Prompt
from collector.model.leases import LEASE_ATTRIBUTE
from collector.model.purposes import ATTRIBUTE as PURPOSE_ATTRIBUTE
from collector.model.purposes import EVALUATOR_ATTRIBUTE, JUDGE, JUDGE_SCOPE
from collector.model.usage import Usage

FEATURE: Final = "spanmeter.judge"
_SERVICE = "spanmeter"
Value = str | int | float | bool


@dataclass(slots=True)
class JudgeCall:
    """One request to the judge's model. `usage` is None where the server did not say, or said what cannot be."""

    model: str
    provider: str
    prompt: Prompt
    started_ns: int
    ended_ns: int = 0
    answer: ModelAnswer | None = None
    usage: Usage | None = None
    error_type: str = ""
    error: str = ""
    lease: str = ""
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(slots=True)
class JudgeTrace:
    """All calls of one judgement. The judged run is linked to: its duration, cost and rounds stay what they are."""

    evaluator: str
    judged_trace_id: str
    judged_span_id: str
    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    span_id: str = field(default_factory=lambda: secrets.token_hex(8))
    calls: list[JudgeCall] = field(default_factory=list)

    def request(self) -> bytes:
        """The export request of its spans, in protobuf; it has to have a call."""
        spans = [self._root(), *map(self._call, self.calls)]
        resource = Resource(
            attributes=[_attribute("service.name", _SERVICE), _attribute("service.version", __version__)]
        )
        scoped = ScopeSpans(spans=spans)
        scoped.scope.name = JUDGE_SCOPE
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scoped])])
        return bytes(request.SerializeToString())

    def _root(self) -> Span:
        root = Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=bytes.fromhex(self.span_id),
            name=f"judge {self.evaluator}",
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=min(call.started_ns for call in self.calls),
            end_time_unix_nano=max(call.ended_ns for call in self.calls),
            attributes=self._common(),
        )
        link = root.links.add()
        link.trace_id = bytes.fromhex(self.judged_trace_id)
        link.span_id = bytes.fromhex(self.judged_span_id) if self.judged_span_id else bytes(8)
        return root

    def _call(self, call: JudgeCall) -> Span:
        span = Span(
            trace_id=bytes.fromhex(self.trace_id),
            span_id=bytes.fromhex(call.span_id),
            parent_span_id=bytes.fromhex(self.span_id),
            name=f"chat {call.model}",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=call.started_ns,
            end_time_unix_nano=call.ended_ns,
            attributes=[*self._common(), *_call_attributes(call)],
        )
        if call.error_type:
            span.status.code = Status.STATUS_CODE_ERROR
            span.status.message = call.error
        return span

    def _common(self) -> list[KeyValue]:
        return [
            _attribute("spanmeter.feature", FEATURE),
            _attribute(PURPOSE_ATTRIBUTE, JUDGE),
            _attribute(EVALUATOR_ATTRIBUTE, self.evaluator),
        ]


def _call_attributes(call: JudgeCall) -> list[KeyValue]:
    values: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.input.messages": _messages(("system", call.prompt.system), ("user", call.prompt.user)),
    }
    if call.lease:
        values[LEASE_ATTRIBUTE] = call.lease
    if call.error_type:
        values["error.type"] = call.error_type
    if call.answer:
        values["gen_ai.response.model"] = call.answer.model
        values["gen_ai.response.id"] = call.answer.id
        values["gen_ai.output.messages"] = _messages(("assistant", call.answer.text))
    attributes = [_attribute(key, value) for key, value in (values | _usage(call.usage)).items() if value != ""]
    if call.answer and call.answer.finish:
        reasons = AnyValue()
        reasons.array_value.values.add().string_value = _encodable(call.answer.finish)
        attributes.append(KeyValue(key="gen_ai.response.finish_reasons", value=reasons))
    return attributes


def _usage(usage: Usage | None) -> dict[str, Value]:
    if usage is None:
        return {}
    parts: dict[str, Value] = {
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
    }
    totals = {"gen_ai.usage.input_tokens": usage.input_tokens, "gen_ai.usage.output_tokens": usage.output_tokens}
    return totals | {key: count for key, count in parts.items() if count}


def _messages(*messages: tuple[str, str]) -> str:
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in messages])


def _attribute(key: str, value: Value) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=_encodable(value)))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


def _encodable(text: str) -> str:
    """Half a character is none in UTF-8."""
    return text.encode("utf-8", "replace").decode()
