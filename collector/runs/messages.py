"""A conversation in one shape, whichever library recorded it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from collector.runs.document import document, raw, unquoted


@dataclass(frozen=True, slots=True)
class Part:
    """`kind` is `text`, `reasoning`, or what the message calls the part (an image's text is its address or data)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asked for. `arguments` is the text that was sent, byte for byte."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered, as the model is given it."""

    id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `role` is system, developer, user, assistant, tool, or what the library calls it."""

    role: str
    parts: tuple[Part, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    results: tuple[ToolResult, ...] = ()
    finish_reason: str = ""

    @property
    def text(self) -> str:
        """The text of the message, without its reasoning and media."""
        return "\n".join(part.text for part in self.parts if part.kind == "text")

    @property
    def says(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.parts or self.calls or self.results)


@dataclass(frozen=True, slots=True)
class Messages:
    """What a model was given and what it answered."""

    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tools the answer asks for."""
        return requested(self.output)


def requested(output: Iterable[Message]) -> tuple[ToolCall, ...]:
    """The tools an answer asks for."""
    return tuple(call for message in output for call in message.calls)


@dataclass(slots=True)
class Draft:
    """A message being read. Libraries repeat: a call or result with a known id and name, and a known text, count once.

    Calls with one id and different names or arguments are two: not every server gives each call an id of its own.
    """

    role: str
    finish_reason: str = ""
    parts: list[Part] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[ToolResult] = field(default_factory=list)

    def done(self) -> Message:
        return Message(self.role, tuple(self.parts), tuple(self.calls), tuple(self.results), self.finish_reason)

    def say(self, text: Any, kind: str = "text") -> None:
        part = Part(kind, raw(text))
        if part.text and part not in self.parts:
            self.parts.append(part)

    def call(self, call: ToolCall) -> None:
        place = next((at for at, known in enumerate(self.calls) if _is_repeated(known, call)), None)
        if place is None:
            self.calls.append(call)
        elif self.calls[place].arguments in _NO_ARGUMENTS:  # as a stream began
            self.calls[place] = call

    def result(self, result: ToolResult) -> None:
        if not result.id or all((result.id, result.name) != (known.id, known.name) for known in self.results):
            self.results.append(result)

    def read(self, content: Any) -> None:
        """Take in the content of a message: a text, a part, or a list of them."""
        if isinstance(content, str):
            self.say(content)
        elif isinstance(content, list):
            for item in content:
                self.read(item)
        elif isinstance(content, dict):
            known = _call(self, content) or _result(self, content) or _reasoning(self, content) or _text(self, content)
            if not known:
                self.say(_media(content), _kind(content) or "other")
        elif content is not None:
            self.say(content)


_NO_ARGUMENTS = frozenset({"", "{}"})


def _is_repeated(known: ToolCall, call: ToolCall) -> bool:
    if not call.id or known.id != call.id or (known.name and call.name and known.name != call.name):
        return False
    first, second = known.arguments.strip(), call.arguments.strip()
    if first == second or first in _NO_ARGUMENTS or second in _NO_ARGUMENTS:
        return True
    one, other = document(first), document(second)
    return one is None or other is None or one == other


_CALLS = frozenset({"tool_call", "tool_use", "tool-call", "function_call", "server_tool_use", "mcp_call"})
_CALL_MEMBERS = ("function_call", "functionCall", "toolUse", "tool_call", "function")
_RESULTS = frozenset(
    {"tool_call_response", "tool_result", "tool-result", "function_call_output", "tool_return", "mcp_tool_result"}
)
_RESULT_MEMBERS = ("function_response", "functionResponse", "toolResult")
_REASONING = frozenset({"reasoning", "thinking", "redacted_thinking", "reasoning_content", "reasoning_text"})
_IDS = ("call_id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "id")
_NAMES = ("name", "toolName", "tool_name")


def tool_call(item: dict[str, Any]) -> ToolCall:
    """A call in any shape: OpenAI's nested function, Anthropic's tool use, a Responses item, the AI SDK's, ..."""
    body = next((item[key] for key in _CALL_MEMBERS if isinstance(item.get(key), dict)), item)
    nested = body.get("function")
    if isinstance(nested, dict):
        item, body = body, nested
    arguments = first(body, "arguments", "args", "input")
    return ToolCall(_text_of(item, _IDS) or _text_of(body, _IDS), _text_of(body, _NAMES), raw(arguments))


def tool_text(payload: Any) -> str:
    """What a tool answered as one text: the texts of its parts, or the payload as it was sent."""
    if isinstance(payload, str):
        return unquoted(payload)
    if isinstance(payload, list) and payload and all(isinstance(item, dict) and "text" in item for item in payload):
        return "\n".join(raw(item["text"]) for item in payload)
    if isinstance(payload, dict):
        for key in ("value", "text", "result", "output", "content"):
            if key in payload and payload.keys() <= {"type", "providerOptions", key}:
                return tool_text(payload[key])
    return raw(payload)


def first(item: dict[str, Any], *keys: str) -> Any:
    """The first of the members that is there and not null."""
    return next((item[key] for key in keys if item.get(key) is not None), None)


def texts(content: Any) -> str:
    """The text of a content: a string, a part, or a list of them."""
    draft = Draft("")
    draft.read(content)
    return draft.done().text


def _text_of(item: dict[str, Any], keys: Iterable[str]) -> str:
    return next((found for key in keys if isinstance(found := item.get(key), str) and found), "")


def _kind(item: dict[str, Any]) -> str:
    kind = item.get("type")
    return kind if isinstance(kind, str) else ""


def _call(draft: Draft, item: dict[str, Any]) -> bool:
    if _kind(item) not in _CALLS and not any(isinstance(item.get(key), dict) for key in _CALL_MEMBERS):
        return False
    draft.call(tool_call(item))
    return True


def _result(draft: Draft, item: dict[str, Any]) -> bool:
    body = next((item[key] for key in _RESULT_MEMBERS if isinstance(item.get(key), dict)), None)
    if body is None and _kind(item) not in _RESULTS:
        return False
    body = item if body is None else body
    payload = first(body, "response", "result", "output", "content", "value")
    draft.result(ToolResult(_text_of(body, _IDS), _text_of(body, _NAMES), tool_text(payload)))
    return True


def _reasoning(draft: Draft, item: dict[str, Any]) -> bool:
    if _kind(item) not in _REASONING:
        return False
    draft.say(texts(first(item, "thinking", "text", "content", "summary", "data")), "reasoning")
    return True


def _text(draft: Draft, item: dict[str, Any]) -> bool:
    text = first(item, "text", "content", "refusal")
    if text is None or ("mime_type" in item or "modality" in item):
        return False
    if item.get("thought") is True:
        draft.say(texts(text), "reasoning")
    elif _kind(item) in ("summary_text", "text", "input_text", "output_text", "refusal", ""):
        draft.read(text)
    else:
        draft.say(texts(text), _kind(item))
    return True


def _media(item: dict[str, Any]) -> Any:
    """What stands for a part that is no text: its address if it has one, else all of it."""
    address: Any = item
    for key in ("image_url", "image", "input_audio", "file", "uri", "url"):
        inner = address.get(key)
        if isinstance(inner, str):
            return inner
        if isinstance(inner, dict):
            address = inner
    return item
