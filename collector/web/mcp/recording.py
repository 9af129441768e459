"""The tool that records: what an agent states of its run becomes spans, on the way that exporters' spans take."""

import hashlib
import itertools
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema
from typing_extensions import TypedDict

from collector import __version__
from collector.errors import Reason, Rejected, Unavailable
from collector.model.envelope import Repeated
from collector.model.times import unix_nano
from collector.web.mcp.tool import Asker
from collector.web.operation import Input

_SCOPE: Final = "spanmeter.mcp"
_MAX_STEPS: Final = 200
_MAX_KEY: Final = 200
_MAX_SECONDS: Final = 10**7
_MAX_TOKENS: Final = 2**53
_KINDS: Final = ("llm", "tool")
_HEX: Final = frozenset("0123456789abcdef")


def _duration(value: object, info: ValidationInfo) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_SECONDS:
        raise Rejected(Reason.MALFORMED, f"{info.field_name} is a number of seconds, for example 2.5.")
    return float(value)


def _count(value: object, info: ValidationInfo) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MAX_TOKENS:
        raise Rejected(Reason.MALFORMED, f"{info.field_name}={str(value)[:40]!r} is not a number of tokens.")
    return value


Seconds = Annotated[float | None, BeforeValidator(_duration), WithJsonSchema({"type": "number", "minimum": 0})]
Tokens = Annotated[int | None, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 0})]


class Step(Input):
    kind: str = Field(description="A model call, or a tool run.", json_schema_extra={"enum": list(_KINDS)})
    name: str = Field(description="The model, or the tool.")
    provider: str | None = Field(None, description="Of a model, for example anthropic.")
    input_tokens: Tokens = Field(None, description="All of the input, cached tokens included.")
    output_tokens: Tokens = Field(None, description="Reasoning included.")
    cache_read_tokens: Tokens = None
    cache_write_tokens: Tokens = None
    reasoning_tokens: Tokens = None
    seconds: Seconds = None
    input: str | None = Field(None, description="The prompt, or the tool's arguments.")
    output: str | None = Field(None, description="The answer, or the tool's result.")
    error: str | None = Field(None, description="Why it failed.")


class RecordRun(Input):
    name: str = Field(description="What the run did, in a few words.")
    agent: str | None = None
    service: str = "mcp"
    feature: str | None = None
    user: str | None = None
    conversation: str | None = None
    started_at: str | None = Field(None, description="ISO 8601; default: so long ago as it took.")
    seconds: Seconds = Field(None, description="How long it took; default: as its steps did.")
    input: str | None = Field(None, description="What was asked.")
    output: str | None = Field(None, description="What came of it.")
    error: str | None = Field(None, description="Why it failed.")
    steps: list[Step] = Field(default=[], description=f"In order, {_MAX_STEPS} at most.")
    attributes: dict[str, str] = Field(default={}, description="Of the run, for example team.id.")
    trace_id: str | None = Field(None, description="To add to a run that is recorded; with parent_span_id.")
    parent_span_id: str | None = None
    key: str | None = Field(
        None,
        min_length=1,
        max_length=_MAX_KEY,
        description="A name of your own for this call, new for each run: called again with it within ten minutes, the "
        "run is stored once, and the answer is the same.",
    )


class RunRecorded(TypedDict):
    trace_id: Annotated[str, Field(description="By which get_run opens it, in about two seconds.")]
    span_id: Annotated[str, Field(description="Of the run; its steps are below it.")]
    accepted_spans: Annotated[int, Field(description="Durable, on disk.")]
    rejected_spans: int
    message: Annotated[str | None, Field(description="Why spans were rejected.")]


async def record_run(asker: Asker, stated: RecordRun) -> RunRecorded:
    if asker.services.record is None:
        raise Unavailable(Reason.STOPPING, "Nothing takes spans here.")
    _check(stated)
    ids = _Ids(asker.principal.project, stated.key)
    spans = _Spans(_trace_id(stated, ids), ids)
    root = spans.run(stated, time.time_ns())
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(_attribute("service.name", stated.service))
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = _SCOPE, __version__
    scope.spans.extend(spans.made)
    repeated = Repeated(stated.key, repr(stated).encode(errors="replace")) if stated.key else None
    receipt = await asker.services.record(asker.principal, request.SerializeToString(), repeated)
    return RunRecorded(
        trace_id=spans.trace_id.hex(),
        span_id=root.hex(),
        accepted_spans=receipt.accepted,
        rejected_spans=receipt.rejected,
        message=receipt.message or None,
    )


def _check(stated: RecordRun) -> None:
    """Raises Rejected for what types do not tell."""
    if len(stated.steps) > _MAX_STEPS:
        raise Rejected(
            Reason.MALFORMED, f"steps has {len(stated.steps)} steps; at most {_MAX_STEPS} are recorded at once."
        )
    for number, step in enumerate(stated.steps):
        if step.kind not in _KINDS:
            raise Rejected(Reason.MALFORMED, f"steps.{number}.kind={step.kind[:40]!r} is not one of llm, tool.")
    if (stated.trace_id is None) != (stated.parent_span_id is None):
        raise Rejected(
            Reason.MALFORMED, "trace_id and parent_span_id are given together, or neither: then a run begins."
        )


class _Ids:
    """New ids: by chance, or made of a key, so that who states a run again states the same spans."""

    def __init__(self, project: str, key: str | None) -> None:
        named = f"{project}\0{key}".encode(errors="replace")
        self._seed = secrets.token_bytes(32) if key is None else hashlib.blake2b(named, digest_size=32).digest()
        self._made = itertools.count()

    def new(self, size: int) -> bytes:
        number = next(self._made).to_bytes(8, "big")
        return hashlib.blake2b(number, digest_size=size, key=self._seed, person=b"spanmeter id").digest()


def _trace_id(stated: RecordRun, ids: _Ids) -> bytes:
    return ids.new(16) if stated.trace_id is None else _identifier("trace_id", stated.trace_id, 16)


def _identifier(name: str, written: str, size: int) -> bytes:
    digits = written.lower()
    if len(digits) != 2 * size or not _HEX.issuperset(digits):
        raise Rejected(Reason.MALFORMED, f"{name}={written[:60]!r} is not {2 * size} hexadecimal digits.")
    return bytes.fromhex(digits)


def _attribute(key: str, value: str | int) -> KeyValue:
    stated = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=_whole(value))
    return KeyValue(key=_whole(key), value=stated)


def _whole(text: str) -> str:
    """JSON can escape half a character, which UTF-8 cannot write."""
    return text.encode(errors="replace").decode()


@dataclass
class _Spans:
    """The spans of what is stated, one after another."""

    trace_id: bytes
    ids: _Ids
    made: list[Span] = field(default_factory=list)

    def run(self, stated: RecordRun, now: int) -> bytes:
        """The run, and its steps below it; its id."""
        steps = sum(_nanoseconds(step.seconds) for step in stated.steps)
        length = max(steps, _nanoseconds(stated.seconds))
        start = now - length if stated.started_at is None else _moment(stated.started_at)
        parent = _identifier("parent_span_id", stated.parent_span_id, 8) if stated.parent_span_id else b""
        own = {"kind": "agent", "agent": stated.agent, "feature": stated.feature, "user": stated.user}
        own |= {"conversation": stated.conversation, "input": stated.input, "output": stated.output}
        root = self._add(stated.name, parent, start, length, own, stated.error)
        root.attributes.extend(_attribute(key, value) for key, value in stated.attributes.items())
        for step in stated.steps:
            start += self._step(step, root.span_id, start)
        return root.span_id

    def _step(self, step: Step, parent: bytes, start: int) -> int:
        """How long it took."""
        length = _nanoseconds(step.seconds)
        if step.kind == "tool":
            own: Mapping[str, str | int | None] = {"tool": step.name}
        else:
            own = {"model": step.name, "provider": step.provider, **_usage(step)}
        own = {"kind": step.kind, **own, "input": step.input, "output": step.output}
        self._add(step.name, parent, start, length, own, step.error)
        return length

    def _add(
        self, name: str, parent: bytes, start: int, length: int, own: Mapping[str, str | int | None], error: str | None
    ) -> Span:
        span = Span(
            trace_id=self.trace_id,
            span_id=self.ids.new(8),
            parent_span_id=parent,
            name=_whole(name),
            kind=Span.SPAN_KIND_INTERNAL,
            start_time_unix_nano=start,
            end_time_unix_nano=start + length,
            attributes=_own(own),
            status=Status(
                code=Status.STATUS_CODE_OK if error is None else Status.STATUS_CODE_ERROR, message=_whole(error or "")
            ),
        )
        self.made.append(span)
        return span


def _own(values: Mapping[str, str | int | None]) -> Sequence[KeyValue]:
    """Attributes of our own convention, of what is stated."""
    return [_attribute(f"spanmeter.{key}", value) for key, value in values.items() if value is not None]


def _usage(step: Step) -> dict[str, int]:
    counts: dict[str, Any] = {name: getattr(step, name) for name in Step.model_fields if name.endswith("_tokens")}
    return {f"usage.{name}": count for name, count in counts.items() if count is not None}


def _nanoseconds(seconds: float | None) -> int:
    return round((seconds or 0.0) * 10**9)


def _moment(written: str) -> int:
    try:
        moment = unix_nano(written)
    except (ValueError, OverflowError):
        moment = -1
    if not 0 <= moment < 2**63:
        example = "2026-11-21T08:00:00Z"
        raise Rejected(Reason.MALFORMED, f"started_at={written[:40]!r} is not a time; write for example {example}.")
    return moment
