"""Where the conversation of a model call is: content columns, flattened attributes, events, the AI SDK's keys.

The first place that holds messages counts. A text that is none, such as JSON that was cut, is one message of one text,
and only when no other place says more.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from collector.runs.document import document, unquoted
from collector.runs.messages import Draft, Message, Messages
from collector.runs.shapes import conversation, is_structured, unflattened, wraps_messages
from collector.runs.span import Span

_FLATTENED = {
    "input": ("llm.input_messages.", "gen_ai.prompt.", "llm.prompts."),
    "output": ("llm.output_messages.", "gen_ai.completion."),
}
_KEYS = {
    "input": (
        "gen_ai.input.messages",
        "ai.prompt.messages",
        "ai.prompt",
        "llm.openai.messages",
        "request_data",
        "all_messages_events",
        "pydantic_ai.all_messages",
        "events",
        "input.value",
        "traceloop.entity.input",
        "llm.prompts",
    ),
    "output": (
        "gen_ai.output.messages",
        "llm.openai.choices",
        "response_data",
        "output.value",
        "traceloop.entity.output",
    ),
}
_ROLE = {"input": "user", "output": "assistant"}
_AI_OUTPUT = (
    ("ai.response.reasoning", "reasoning"),
    ("ai.response.text", "text"),
    ("ai.response.object", "text"),
)
_DETAILS = "gen_ai.client.inference.operation.details"


def messages(span: Span) -> Messages:
    """The conversation `span` tells of, empty when it tells of none. Never raises, whatever the attributes hold."""
    return Messages(_side(span, "input"), (*_own_calls(span), *_side(span, "output")))


# How far what a place holds is believed to be the conversation.
_MESSAGES, _TEXT, _UNKNOWN = range(3)
_Found = tuple[int, list[Message]]


def _side(span: Span, side: str) -> tuple[Message, ...]:
    best: _Found = (_UNKNOWN + 1, [])
    for trust, found in _places(span, side):
        said = [message for message in found if message.says]
        if said and trust < best[0]:
            best = trust, said
        if best[0] == _MESSAGES:
            break
    return tuple(best[1])


def _places(span: Span, side: str) -> Iterator[_Found]:
    role = _ROLE[side]
    if side == "output":
        yield _MESSAGES, _ai_sdk(span)
    own_key = span.input_key if side == "input" else span.output_key
    content = span.input if side == "input" else span.output
    yield _recorded(content, role)
    for prefix in _FLATTENED[side]:
        yield _MESSAGES, conversation(unflattened(span.attributes, prefix), role)
    yield _MESSAGES, _events(span, side)
    for key in _KEYS[side]:
        if key != own_key and (text := span.attributes.get(key)):
            yield _recorded(text, role)


def _recorded(text: str, role: str) -> _Found:
    value = document(text)
    found = conversation(value, role)
    if found or wraps_messages(value):
        return _MESSAGES if is_structured(value) else _TEXT, found
    return _TEXT if value is None else _UNKNOWN, conversation(unquoted(text), role)


def _own_calls(span: Span) -> list[Message]:
    """Calls a library made itself within the span, which one instrumentation puts under a key without an index."""
    loose = unflattened(span.attributes, "message.tool_calls.")
    return conversation([{"role": "assistant", "tool_calls": loose}], "assistant") if loose else []


def _ai_sdk(span: Span) -> list[Message]:
    draft = Draft("assistant", span.value("ai.response.finishReason"))
    for key, kind in _AI_OUTPUT:
        draft.say(span.value(key), kind)
    calls = document(span.value("ai.response.toolCalls"))
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            draft.read({"type": "tool-call", **call})
    return [draft.done()]


def _events(span: Span, side: str) -> list[Message]:
    found: list[Message] = []
    for name, attributes in span.events:
        if side == "input":
            found.extend(_input_event(name, attributes))
        else:
            found.extend(_output_event(name, attributes))
    return found


def _input_event(name: str, attributes: Any) -> Iterable[Message]:
    if name.startswith("gen_ai.") and name.endswith(".message"):
        item = {key: _value(text) for key, text in attributes.items()}
        return conversation([{"role": name[len("gen_ai.") : -len(".message")], **item}], "user")
    if name == "gen_ai.content.prompt":
        return _recorded(attributes.get("gen_ai.prompt", ""), "user")[1]
    return _recorded(attributes.get("gen_ai.input.messages", ""), "user")[1] if name == _DETAILS else ()


def _output_event(name: str, attributes: Any) -> Iterable[Message]:
    if name == "gen_ai.choice":
        item = {key: _value(text) for key, text in attributes.items()}
        message = item.get("message")
        body = message if isinstance(message, dict) else {"content": message}
        return conversation([{"role": "assistant", **item, **body}], "assistant")
    if name == "gen_ai.content.completion":
        return _recorded(attributes.get("gen_ai.completion", ""), "assistant")[1]
    return _recorded(attributes.get("gen_ai.output.messages", ""), "assistant")[1] if name == _DETAILS else ()


def _value(text: str) -> Any:
    found = document(text)
    return text if found is None else found
