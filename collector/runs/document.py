"""JSON texts as values that remember how they were written, so that a part of them can be shown byte for byte."""

import ast
import json
import re
from collections.abc import Callable
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_PLAIN_NAME = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\n\r]*:[ \t\n\r]*')
_MARK = re.compile(r"[ \t\n\r]*([,}\]])[ \t\n\r]*")
_SCALAR = json.JSONDecoder()

Marks = tuple[Callable[[str], re.Match[str] | None], ...]

# An escaped ASCII letter, and an object as Python prints it.
_ESCAPED, _PRINTED = "\\u00", "{'"

# Parsing more costs more than a page can show.
_MAX_TEXT = 16 * 1024 * 1024
_MAX_LITERAL = 64 * 1024

# Readers of values follow them by recursion. No conversation is deeper; what is, is a text.
_MAX_DEPTH = 48


class _Written:
    """A value that knows how it was written: `raw` is its text as it was sent."""

    def __init__(self, text: str, start: int) -> None:
        super().__init__()
        self._text, self._start, self._end = text, start, start

    def close(self, end: int) -> None:
        self._end = end

    @property
    def raw(self) -> str:
        return self._text[self._start : self._end]


class JsonObject(_Written, dict[str, Any]):
    """A JSON object."""


class JsonArray(_Written, list[Any]):
    """A JSON array."""


def document(text: str) -> Any:
    """`text` as a value; None for what is no JSON object or array, truncated, oversized and very deep texts included.

    A text that is JSON within a JSON string is unwrapped once. Objects as Python prints them, which some libraries
    send for JSON, are read too.
    """
    start = text.lstrip()[:1]
    if start not in ("{", "[", '"') or len(text) > _MAX_TEXT:
        return None
    try:
        value = _parsed(text)
    except (ValueError, IndexError):
        return _literal(text)
    if isinstance(value, str):
        return document(value) if value.lstrip()[:1] in ("{", "[") else None
    return value


def raw(value: Any) -> str:
    """`value` as text: a string is itself, an object or array is what was sent, None is empty."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, JsonObject | JsonArray):
        return value.raw
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def marks(*expressions: str) -> Marks:
    """What `may_have` looks for. An expression that starts with letters is found at the speed of these letters."""
    return tuple(re.compile(expression).search for expression in expressions)


def may_have(text: str, wanted: Marks) -> bool:
    """Whether a JSON text may have one of `wanted`, however its letters are escaped; much cheaper than parsing it.

    Texts as Python prints them may write a word in pieces, and may always have one.
    """
    return _ESCAPED in text or _PRINTED in text or any(search(text) for search in wanted)


def unquoted(text: str) -> str:
    """A text that was sent as one JSON string, without its quotes; any other as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text


def _parsed(text: str) -> Any:
    value, end = _value(text, _skip(text, 0), 0)
    if _skip(text, end) != len(text):
        raise ValueError("more than one value")
    return value


def _skip(text: str, at: int) -> int:
    if text[at : at + 1] > " ":
        return at
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    first = text[at]
    if first not in "{[":
        return _SCALAR.raw_decode(text, at)
    if depth == _MAX_DEPTH:
        raise ValueError("too deep")
    return _object(text, at, depth + 1) if first == "{" else _array(text, at, depth + 1)


def _object(text: str, start: int, depth: int) -> tuple[JsonObject, int]:
    found = JsonObject(text, start)
    at = _skip(text, start + 1)
    mark = "" if text[at] == "}" else ","
    end = at + 1
    while mark == ",":
        name, at = _name(text, at)
        found[name], at = _value(text, at, depth)
        mark, end, at = _mark(text, at)
    if mark == "]":
        raise ValueError("a brace was expected")
    found.close(end)
    return found, end


def _array(text: str, start: int, depth: int) -> tuple[JsonArray, int]:
    found = JsonArray(text, start)
    at = _skip(text, start + 1)
    mark = "" if text[at] == "]" else ","
    end = at + 1
    while mark == ",":
        item, at = _value(text, at, depth)
        found.append(item)
        mark, end, at = _mark(text, at)
    if mark == "}":
        raise ValueError("a bracket was expected")
    found.close(end)
    return found, end


def _name(text: str, at: int) -> tuple[str, int]:
    """The name of a member, and where its value begins."""
    if plain := _PLAIN_NAME.match(text, at):
        return plain[1], plain.end()
    if text[at] != '"':
        raise ValueError("a name was expected")
    name, at = _SCALAR.raw_decode(text, at)
    at = _skip(text, at)
    if text[at] != ":":
        raise ValueError("a colon was expected")
    return name, _skip(text, at + 1)


def _mark(text: str, at: int) -> tuple[str, int, int]:
    """What follows a value: a comma or what closes, where that ends, and where what comes after it begins."""
    mark = _MARK.match(text, at)
    if not mark:
        raise ValueError("a comma was expected")
    return mark[1], mark.end(1), mark.end()


def _literal(text: str) -> Any:
    if not text.startswith(("{'", "[{'")) or len(text) > _MAX_LITERAL:
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict | list) and not _is_deep(value) else None


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        nested = (node.values() if isinstance(node, dict) else node for node in level if isinstance(node, dict | list))
        level = [child for children in nested for child in children]
    return bool(level)
