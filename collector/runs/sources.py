"""Where the conversation of a model call is: content columns, flattened attributes, events, the AI SDK's keys.

The first place that holds messages counts. A text that is none, such as JSON that was cut, is one message of one text,
and only when no other place says more.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from collector.runs.columns import starting
from collector.runs.document import document, marks, may_have, unquoted
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
_OWN_CALLS = "message.tool_calls."
# Requests and echoes of them: the answer to a Responses request repeats its instructions.
REQUESTS = ("input.value", "request_data", "llm.invocation_parameters", "ai.prompt", "output.value")
INSTRUCTIONS = ("gen_ai.system_instructions", "llm.system_instructions")
_DETAILS = "gen_ai.client.inference.operation.details"


# Every attribute that `messages` reads starts with one of these.
_READ = (
    *_FLATTENED["input"],
    *_FLATTENED["output"],
    *_KEYS["input"],
    *_KEYS["output"],
    *REQUESTS,
    *INSTRUCTIONS,
    _OWN_CALLS,
    "ai.response.",
)


def messages(span: Span) -> Messages:
    """The conversation `span` tells of, empty when it tells of none. Never raises, whatever the attributes hold."""
    return Messages(recorded_input(span), recorded_output(span))


def recorded_input(span: Span) -> tuple[Message, ...]:
    """The input of `messages` alone."""
    return _side(span, "input")


def recorded_output(span: Span) -> tuple[Message, ...]:
    """The output of `messages` alone."""
    return (*_own_calls(span), *_side(span, "output"))


# What every call, and every system prompt in lower case, has one of. A word that prose has too is followed by what ends
# a name or a value.
_CALLS = marks(r"tool[-_CU]", r'function[_C"\\.]', "mcp_call")
_PROMPTS = marks("instruction", r'system[_m"\\.]', r'developer["\\.]')


def may_request_tools(span: Span) -> bool:
    """False only when the output of `span` asks for no tool. Most outputs need not be read to know."""
    input_ = span.input if span.input_key.startswith("ai.response.") else ""
    return may_have("\n".join((input_, span.output, *_noted(span))), _CALLS)


def may_prompt(span: Span) -> bool:
    """False only when `span` has no system prompt, in its messages or in a request it records."""
    return may_have("\n".join((span.input, span.output, *_noted(span))).lower(), _PROMPTS)


def _noted(span: Span) -> Iterator[str]:
    """Names and values of the attributes and events that are read, each with its end."""
    for key, text in starting(span.attributes, _READ):
        yield f'{key}"'
        yield f'{text}"'
    for name, attributes in span.events:
        yield name
        for key, text in attributes.items():
            yield f'{key}"'
            yield f'{text}"'


# How far what a place holds is believed to be the conversation.
_MESSAGES, _TEXT, _UNKNOWN = range(3)
_Found = tuple[int, list[Message]]


def _side(span: Span, side: str) -> tuple[Message, ...]:
    best: _Found = (_UNKNOWN + 1, [])
    for trust, found in _places(span, side):
        telling = [message for message in found if message.says]
        if telling and trust < best[0]:
            best = trust, telling
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
    loose = unflattened(span.attributes, _OWN_CALLS)
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
