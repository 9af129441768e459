"""What a tool's or an agent's span tells of its run: the id of the request, arguments, result, whether it failed."""

from typing import Any

from collector.model.facts import Kind
from collector.runs.document import document, marks, may_have, raw, unquoted
from collector.runs.messages import Draft, first, tool_text
from collector.runs.span import Span

_CALL_IDS = (
    *("gen_ai.tool.call.id", "ai.toolCall.id", "tool_call.id", "tool.call.id", "tool_call_id"),
    *("tool_use_id", "call_id"),  # Claude Code, Codex
)
# Claude Code's span of a tool at work, below that of the tool.
_EXECUTION, _SPAN_TYPE = "tool.execution", "span.type"
_EVENT = "event:"
# Strands has the second; `error.type` is there if and only if an operation failed (OpenTelemetry, "Recording errors").
_ERROR_TYPE, _STATUS = "error.type", "gen_ai.tool.status"
# A failed tool as MCP, Anthropic and LangChain answer it: the request itself went well, and so says its span.
_ERRORS = ("isError", "is_error")

# What every wrapped result, in lower case, and every wrapped call has one of.
_WRAPPERS = marks(r'tool["\\_m]')
_KWARGS = marks("kwargs", "input_str")
# Part of every answer that `_answers_failure` believes.
_FAILURE = "rror"


def call_id(span: Span) -> str:
    """The id the model gave its request, empty when the span does not say."""
    if not span.may_have(_CALL_IDS):
        return ""
    return next((found for key in _CALL_IDS if (found := span.value(key))), "")


def is_execution(span: Span) -> bool:
    """Whether the span says that it is the tool above it at work, with or without an id or a name."""
    stated = span.value(_SPAN_TYPE) if span.may_have((_SPAN_TYPE,)) else ""
    return stated == _EXECUTION or (not stated and span.name.endswith(f".{_EXECUTION}"))


def arguments(span: Span) -> str:
    """The arguments as the span has them, byte for byte; of a Python call recorded as args and kwargs, the kwargs."""
    text = unquoted(_content(span, span.input, span.input_key, "arguments"))
    value = document(text) if may_have(text, _KWARGS) else None
    if isinstance(value, dict):
        if isinstance(value.get("kwargs"), dict) and not value.get("args") and value.keys() <= {"args", "kwargs"}:
            return raw(value["kwargs"])
        if isinstance(value.get("input_str"), str) and "metadata" in value:  # LangChain's callback
            return str(value["input_str"])
    return text


def same_arguments(first: str, second: str) -> bool:
    """Whether two texts are equal, or the same value as JSON."""
    return first == second or ((value := document(first)) is not None and value == document(second))


def failed(span: Span) -> bool:
    """Whether the span says that it failed, or that the tool answered with an error."""
    if span.error or (span.may_have((_ERROR_TYPE, _STATUS)) and _states_failure(span)):
        return True
    return span.kind == Kind.TOOL and _FAILURE in span.output and _answers_failure(document(span.output))


def result(span: Span) -> str:
    """The result as the span has it; of a message or object that LangChain or LlamaIndex makes of it, its text."""
    text = _content(span, span.output, span.output_key, "result")
    if text.startswith("{") and not may_have(text.lower(), _WRAPPERS):
        return text
    value = document(text)
    if isinstance(value, dict):
        value = _unwrapped(value)
        if str(value.get("type", "")).lower() in ("tool", "toolmessage") or "tool_call_id" in value:
            return tool_text(value.get("content"))
        if isinstance(value.get("blocks"), list) and "tool_name" in value:
            return tool_text(value["blocks"])
    if isinstance(value, list):
        return tool_text(value)
    return unquoted(text)


def _states_failure(span: Span) -> bool:
    return bool(span.value(_ERROR_TYPE)) or span.value(_STATUS) == "error"


def _answers_failure(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    message = _unwrapped(value)
    if any(answer.get(key) is True for answer in (value, message) for key in _ERRORS):
        return True
    return message.get("status") == "error" and ("tool_call_id" in message or "toolUseId" in message)


def _unwrapped(value: dict[str, Any]) -> dict[str, Any]:
    for key in ("output", "data", "kwargs"):
        inner = value.get(key)
        value = inner if isinstance(inner, dict) else value
    return value


def _content(span: Span, text: str, key: str, what: str) -> str:
    """A content column, or where it stays when its key names no attribute."""
    if text or not key.startswith(_EVENT):
        return text
    name, _, attribute = key.removeprefix(_EVENT).partition("#")
    text = next((found[attribute] for event, found in span.events if event == name and found.get(attribute)), "")
    value = document(text)
    if not isinstance(value, list) or not any(isinstance(item, dict) and "parts" in item for item in value):
        return text
    return _of_messages(value, what)


def _of_messages(items: list[Any], what: str) -> str:
    """The first tool call's arguments, or the first result, in a list of messages with parts."""
    draft = Draft("")
    for item in items:
        draft.read(first(item, "parts") if isinstance(item, dict) else item)
    if what == "arguments":
        return draft.calls[0].arguments if draft.calls else ""
    return draft.results[0].text if draft.results else ""
