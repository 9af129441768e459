"""Settings in JSON whose comments, order and layout stay: only the text of what changes is replaced.

Read are comments of either kind and commas before a closing bracket too, which settings files of programs may have.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from collector.connect.trees import Path, Tree

_BLANK: Final = re.compile(r"(?:[\s\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN: Final = re.compile(r"[^\s,\]}/]+")
_MAX_DEPTH: Final = 100


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    at: int  # where its key begins
    begin: int  # and its value
    end: int


@dataclass(frozen=True, slots=True)
class _Object:
    begin: int  # its brackets
    end: int
    members: tuple[_Member, ...]
    comma: bool  # after the last member

    def member(self, key: str) -> _Member | None:
        """The one that counts: of several with one name the last does."""
        return next((member for member in reversed(self.members) if member.key == key), None)


def read(text: str) -> Tree:
    """The settings. Raises ValueError for what is no object of JSON."""
    found = _object(text, _start(text)) if text.strip("\ufeff \t\r\n") else None
    return _tree(text, found) if found else {}


def write(text: str, path: Path, value: Any) -> str:
    """The text with `value` at `path`. Raises ValueError as `read`."""
    if not text.strip("\ufeff \t\r\n"):
        text = f"{text}{{}}\n" if not text.endswith("\n") else f"{{}}{text}"
    return _written(text, _start(text), path, value, _unit(text))


def _written(text: str, at: int, path: Path, value: Any, unit: str) -> str:
    found, (name, *below) = _object(text, at), path
    member = found.member(name)
    if member is None:
        return _inserted(text, found, name, _nested(below, value), unit)
    if below and text[member.begin] == "{":
        return _written(text, member.begin, tuple(below), value, unit)
    shown = _shown(_nested(below, value), _indent(text, member.at), unit, text)
    return text[: member.begin] + shown + text[member.end :]


def _inserted(text: str, found: _Object, name: str, value: Any, unit: str) -> str:
    """With a new last member, after the comments that follow the one before."""
    inside = text[found.begin + 1 : found.end]
    end = found.begin + 1 + len(inside.rstrip())
    if found.members and "\n" not in inside:
        comma = "" if found.comma else ","
        last = found.members[-1].end
        member = f" {json.dumps(name)}: {_shown(value, '', '', text)}"
        return f"{text[:last]}{comma}{text[last:end]}{member}{text[end:]}"
    outer = _indent(text, found.begin)
    inner = _indent(text, found.members[0].at) if found.members else outer + unit
    line = "\r\n" if "\r\n" in text else "\n"
    member = f"{line}{inner}{json.dumps(name)}: {_shown(value, inner, unit, text)}"
    rest = text[end:] if "\n" in text[end : found.end] else f"{line}{outer}{text[found.end :]}"
    if not found.members or found.comma:
        return f"{text[:end]}{member}{rest}"
    last = found.members[-1].end
    return f"{text[:last]},{text[last:end]}{member}{rest}"


def _nested(path: list[str], value: Any) -> Any:
    for name in reversed(path):
        value = {name: value}
    return value


def _shown(value: Any, indent: str, unit: str, text: str) -> str:
    """JSON of a value that begins in a line with this indentation."""
    shown = json.dumps(value, ensure_ascii=False, indent=unit or None)
    line = "\r\n" if "\r\n" in text else "\n"
    return shown.replace("\n", line + indent)


def _indent(text: str, at: int) -> str:
    """The white space that the line of `at` begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation, as the file has it."""
    found = re.search(r'\n([ \t]+)["/]', text)
    return found[1] if found else "  "


# -- reading ----------------------------------------------------------------------------------------------------------


def _start(text: str) -> int:
    """Where the settings begin. Raises ValueError when they are no object, or something follows them."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError(f"line {_line(text, at)}: settings begin with {{")
    if (end := _skip(text, _end(text, at, 0))) < len(text):
        raise ValueError(f"line {_line(text, end)}: something follows the settings")
    return at


def _object(text: str, begin: int, depth: int = 0) -> _Object:
    members: list[_Member] = []
    at, comma = _skip(text, begin + 1), False
    while text[at : at + 1] != "}":
        if members and not comma:
            raise ValueError(f"line {_line(text, at)}: a comma is missing")
        key = _STRING.match(text, at)
        colon = _skip(text, key.end()) if key else at
        if not key or text[colon : colon + 1] != ":":
            raise ValueError(f'line {_line(text, at)}: settings are written as "name": value')
        value = _skip(text, colon + 1)
        end = _end(text, value, depth + 1)
        members.append(_Member(json.loads(key[0]), at, value, end))
        at = _skip(text, end)
        if comma := text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return _Object(begin, at, tuple(members), comma)


def _end(text: str, at: int, depth: int) -> int:
    """Where the value that begins at `at` ends."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"line {_line(text, at)}: settings nest too deeply")
    match text[at : at + 1]:
        case "{":
            return _object(text, at, depth).end + 1
        case "[":
            return _array(text, at, depth)[1]
        case '"':
            found = _STRING.match(text, at)
        case _:
            found = _PLAIN.match(text, at)
    if not found:
        raise ValueError(f"line {_line(text, at)}: a value is missing")
    try:
        json.loads(found[0])
    except ValueError:
        raise ValueError(f"line {_line(text, at)}: {found[0][:40]} is no value") from None
    return found.end()


def _array(text: str, begin: int, depth: int) -> tuple[list[int], int]:
    """Where the values of an array begin, and where it ends."""
    values: list[int] = []
    at, comma = _skip(text, begin + 1), False
    while text[at : at + 1] != "]":
        if values and not comma:
            raise ValueError(f"line {_line(text, at)}: a comma is missing")
        values.append(at)
        at = _skip(text, _end(text, at, depth + 1))
        if comma := text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    return values, at + 1


def _tree(text: str, found: _Object) -> Tree:
    return {member.key: _value(text, member.begin, member.end) for member in found.members}


def _value(text: str, at: int, end: int) -> Any:
    match text[at]:
        case "{":
            return _tree(text, _object(text, at))
        case "[":
            return [_value(text, one, _end(text, one, 0)) for one in _array(text, at, 0)[0]]
    return json.loads(text[at:end])


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found
    return found.end()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def shown(tree: Mapping[str, Any]) -> str:
    """A whole file with these settings."""
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"
