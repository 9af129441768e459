"""One span of a run as the functions of this package read it: a typed view of what the API gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from collector.model.facts import Kind
from collector.model.money import PriceStatus

Events = tuple[tuple[str, Mapping[str, str]], ...]

# Model calls that converse with nobody: steps of a run, not rounds of it.
_NO_CONVERSATION = frozenset(
    {"embeddings", "rerank", "image_generation", "speech", "transcription", "moderation", "retrieval"}
)
_STANDING = frozenset({PriceStatus.PRICED, PriceStatus.REPORTED, PriceStatus.UNKNOWN_MODEL})


@dataclass(frozen=True, slots=True)
class Span:
    """Times are Unix nanoseconds, `cost` is USD. What a row does not say is empty, 0 or None.

    `input` and `output` are the attributes named by their keys, which are then not in `attributes` (see
    `model.facts.Facts` for keys that name no attribute).
    """

    span_id: str
    parent_id: str = ""
    name: str = ""
    scope: str = ""
    kind: str = Kind.INTERNAL.value
    operation: str = ""
    start: int = 0
    end: int = 0
    error: bool = False
    price_status: str = ""
    cost: Decimal | None = None
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    agent_name: str = ""
    tool_name: str = ""
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input: str = ""
    output: str = ""
    input_key: str = ""
    output_key: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    events: Events = ()

    @property
    def converses(self) -> bool:
        """Whether this tells of a model call with messages: a chat, not an embedding."""
        return self.kind == Kind.LLM and self.operation not in _NO_CONVERSATION

    @property
    def stands(self) -> bool:
        """Whether the usage of a call is counted here."""
        return self.price_status in _STANDING

    @property
    def rolled_up(self) -> bool:
        """Whether other spans tell of the same usage, and are billed for it."""
        return self.price_status == PriceStatus.ROLLED_UP

    def value(self, key: str) -> str:
        """The attribute `key`, wherever it is kept; empty when absent."""
        if key == self.input_key:
            return self.input
        if key == self.output_key:
            return self.output
        return self.attributes.get(key, "")


def views(rows: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Spans as `web.spans.spans_json` gives them, in order of time; of rows with one id the last counts."""
    spans = {span.span_id: span for span in map(_view, rows)}
    return sorted(spans.values(), key=by_time)


def by_time(span: Span) -> tuple[int, int, str]:
    """Order of spans: by start; of those that start together the longest first, as it encloses the others."""
    return span.start, -span.end, span.span_id


def _view(row: Mapping[str, Any]) -> Span:
    start = _number(row.get("Timestamp"))
    plain: dict[str, Any] = {name: str(row.get(column) or "") for name, column in _TEXTS.items()}
    plain |= {name: _number(row.get(column)) for name, column in _COUNTS.items()}
    events = tuple((str(event.get("Name") or ""), event.get("Attributes") or {}) for event in row.get("Events") or ())
    return Span(
        start=start,
        end=start + _number(row.get("Duration")),
        error=row.get("StatusCode") == "Error",
        cost=_cost(row.get("Cost")),
        attributes=row.get("SpanAttributes") or {},
        events=events,
        **plain,
    )


_TEXTS = {
    "span_id": "SpanId",
    "parent_id": "ParentSpanId",
    "name": "SpanName",
    "scope": "ScopeName",
    "kind": "Kind",
    "operation": "Operation",
    "price_status": "PriceStatus",
    "provider": "Provider",
    "request_model": "RequestModel",
    "response_model": "ResponseModel",
    "response_id": "ResponseId",
    "agent_name": "AgentName",
    "tool_name": "ToolName",
    "finish_reason": "FinishReason",
    "input": "Input",
    "output": "Output",
    "input_key": "InputKey",
    "output_key": "OutputKey",
}
_COUNTS = {
    "input_tokens": "InputTokens",
    "output_tokens": "OutputTokens",
    "cache_read_tokens": "CacheReadTokens",
    "cache_write_tokens": "CacheWriteTokens",
    "reasoning_tokens": "ReasoningTokens",
}


def _number(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _cost(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
