"""Conversations out of values: requests, responses, lists of messages, and flattened attributes.

Providers and libraries wrap messages in many ways; unwrapped, they differ in a few names. A value that holds no
message gives none.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from collector.runs.columns import starting
from collector.runs.document import document, raw
from collector.runs.messages import Draft, Message, ToolResult, first, texts, tool_call, tool_text

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "function": "tool",
    "systemmessage": "system",
    "humanmessage": "user",
    "aimessage": "assistant",
    "toolmessage": "tool",
}
_KNOWN_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

# Members that hold what a model was given, and what it answered.
_RECORDED = ("messages", "contents", "chat_history", "input", "prompt", "prompts")
_ANSWERED = ("choices", "candidates", "generations", "output", "outputs")
_SYSTEM = ("system", "instructions", "system_instruction", "systemInstruction", "system_prompt")
_CONTENT = ("parts", "content", "contents", "blocks")
# Flattened messages are at most 13 names deep.
_MAX_STEPS = 24
_ENDINGS = ("finish_reason", "finishReason", "stop_reason", "done_reason")


def conversation(value: Any, role: str) -> list[Message]:
    """The messages in `value`; `role` is that of the texts which have none."""
    if isinstance(value, list):
        return _listed(value, role)
    if not isinstance(value, dict):
        return [_said(value, role)] if isinstance(value, str) and value else []
    if not _is_message(value):
        recorded = next((value[key] for key in _RECORDED if isinstance(value.get(key), str | list | dict)), None)
        if recorded is not None:
            return [*system_messages(value), *conversation(recorded, "user")]
        answered = next((value[key] for key in _ANSWERED if isinstance(value.get(key), list | str)), None)
        if answered is not None:
            return conversation(answered, "assistant")
    return [message for message in (_message(value, role),) if message.says]


def system_messages(request: Mapping[str, Any]) -> list[Message]:
    """The system prompt that stands beside the messages of a request."""
    config = first(dict(request), "config", "generation_config")
    for holder in (request, config if isinstance(config, dict) else {}):
        for key in _SYSTEM:
            content = holder.get(key)
            if isinstance(content, dict):
                content = first(content, "parts", "content", "text")
            if isinstance(content, str | list) and (text := texts(content)):
                return [_said(text, "system")]
    return []


def is_structured(value: Any) -> bool:
    """Whether `value` has messages with roles or parts, not only texts that may be printed objects."""
    if isinstance(value, list):
        return any(is_structured(item) for item in value)
    if not isinstance(value, dict):
        return False
    inner = next((value[key] for key in (*_RECORDED, *_ANSWERED) if value.get(key)), None)
    return _is_message(value) or inner is None or isinstance(inner, str) or is_structured(inner)


def wraps_messages(value: Any) -> bool:
    """Whether `value` is a request, a response or a message by its names, even if it holds no text."""
    return isinstance(value, dict) and (_is_message(value) or any(key in value for key in (*_RECORDED, *_ANSWERED)))


def unflattened(attributes: Mapping[str, str], prefix: str) -> list[Any]:
    """The values spread over `prefix`N.name, as a list in order of N; an index may be missing, the first ones too."""
    root: dict[str, Any] = {}
    for key, text in starting(attributes, (prefix,)):
        if key[len(prefix) :][:1].isdecimal() and key.count(".") < _MAX_STEPS:
            _place(root, key[len(prefix) :].split("."), text)
    found = _lists(root)
    return found if isinstance(found, list) else []


def _place(node: dict[str, Any], path: list[str], text: str) -> None:
    for step in path[:-1]:
        below = node.get(step)
        if not isinstance(below, dict):
            below = node[step] = {} if below is None else {"": below}
        node = below
    known = node.get(path[-1])
    if isinstance(known, dict):
        known[""] = text
    else:
        node[path[-1]] = text


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    indexes = [key for key in node if key.isdecimal() and len(key) < 10]
    if indexes and len(indexes) + ("" in node) == len(node):
        return [_lists(node[key]) for key in sorted(indexes, key=int)]
    return {key: _lists(below) for key, below in node.items()}


def _listed(items: Iterable[Any], role: str) -> list[Message]:
    """Messages; items of a Responses output, and parts without a message, are one message as long as a role lasts."""
    found: list[Message] = []
    loose: Draft | None = None
    for item in items:
        speaker = _speaker(item, role)
        if speaker is None:
            found.extend([loose.done()] if loose else [])
            loose = None
            found.extend(conversation(item, role))
            continue
        if loose is None or loose.role != speaker:
            found.extend([loose.done()] if loose else [])
            loose = Draft(speaker)
        loose.read(item)
    found.extend([loose.done()] if loose else [])
    return [message for message in found if message.says]


def _speaker(item: Any, role: str) -> str | None:
    """Whose part this is, None when it is a message or more."""
    if not isinstance(item, dict) or "role" in item:
        return None
    kind = item.get("type")
    if kind in ("function_call_output", "tool_result", "tool_call_response"):
        return "tool"
    if kind in ("function_call", "tool_use", "tool_call", "reasoning", "thinking") or "toolCallId" in item:
        return "assistant"
    return role if kind in ("text", "input_text", "output_text") else None


def _is_message(value: Mapping[str, Any]) -> bool:
    if "role" in value or "tool_calls" in value or isinstance(value.get("parts"), list):
        return True
    return str(value.get("type", "")).lower() in _ROLES


def _said(text: str, role: str) -> Message:
    draft = Draft(role)
    draft.say(text)
    return draft.done()


def _message(value: dict[str, Any], role: str) -> Message:
    """One message, out of its wrappers: a choice, a candidate, a LangChain constructor, an OpenInference entry."""
    ending = ""
    for _ in range(4):
        ending = _ending(value) or ending
        if _is_message(value) and not isinstance(value.get("data"), dict):
            break
        unwrap = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), dict)), None)
        if unwrap is None:
            break
        value = unwrap
    draft = Draft(_role(value, role), ending)
    if draft.role == "tool" and (identity := first(value, "tool_call_id", "toolCallId", "tool_use_id", "id")):
        content = first(value, "content", "contents", "parts")
        if not _has_results(content):
            draft.result(ToolResult(raw(identity), raw(value.get("name")), _answer(content)))
            return draft.done()
    for read in _MEMBERS:
        read(draft, value)
    return draft.done()


_WRAPPERS = ("message", "kwargs", "data", "delta", "content", "message_content")


def _contents(draft: Draft, value: dict[str, Any]) -> None:
    for key in (*_CONTENT, "message_content") if _is_message(value) else (*_CONTENT, "text"):
        content = value.get(key)
        if isinstance(content, str) and content[:2] in ("[{", "[ "):
            parts = document(content)
            content = parts if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) else content
        if isinstance(content, list):
            for part in content:
                inner = part.get("message_content") if isinstance(part, dict) else None
                draft.read(inner if isinstance(inner, dict) else part)
        elif content is not None:
            draft.read(content)


def _reasonings(draft: Draft, value: dict[str, Any]) -> None:
    for key in ("reasoning_content", "reasoning"):
        if isinstance(value.get(key), str):
            draft.say(value[key], "reasoning")


def _calls(draft: Draft, value: dict[str, Any]) -> None:
    calls = value.get("tool_calls")
    calls = document(calls) if isinstance(calls, str) else calls
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            draft.call(tool_call(call))
    if isinstance(value.get("function_call"), dict):
        draft.call(tool_call(value["function_call"]))


_MEMBERS: tuple[Callable[[Draft, dict[str, Any]], None], ...] = (_reasonings, _contents, _calls)


def _answer(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(
            texts(part.get("message_content", part) if isinstance(part, dict) else part) for part in content
        )
    return tool_text(content)


def _has_results(content: Any) -> bool:
    draft = Draft("tool")
    draft.read(content)
    return bool(draft.results)


def _role(value: Mapping[str, Any], default: str) -> str:
    for key in ("role", "type"):
        role = str(value.get(key) or "").lower()
        role = _ROLES.get(role, role)
        if role in _KNOWN_ROLES or (key == "role" and role):
            return role
    return default


def _ending(value: Mapping[str, Any]) -> str:
    for holder in (value, value.get("generation_info"), value.get("response_metadata")):
        if isinstance(holder, dict):
            for key in _ENDINGS:
                if isinstance(holder.get(key), str) and holder[key]:
                    return str(holder[key])
    return ""
