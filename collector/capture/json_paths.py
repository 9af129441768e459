"""Values at a path within JSON: in texts, in texts within texts, and in OTLP's own nested values."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from collector.model.capture import ANY, DEEP, Steps

Replace = Callable[[str], str]

_MAX_TEXT: Final = 4 * 1024 * 1024
_MAX_DEPTH: Final = 200


def in_text(text: str, steps: Steps, replace: Replace) -> str:
    """`text` with the values at `steps` replaced; itself when there are none.

    What looks like JSON and cannot be read (it was cut, is huge, or has a member twice) is replaced as a whole if it
    may have such a value.
    """
    read = text.lstrip("\ufeff \t\r\n")
    name = next((step for step in reversed(steps) if step not in (ANY, DEEP)), "")
    if read[:1] not in ("{", "[") and not (read[:1] == '"' and (name in read or "\\u" in read)):
        return text
    try:
        if len(text) > _MAX_TEXT:
            return replace(text)
        value = json.loads(read, object_pairs_hook=_members)
        changed = _in_value(value, steps, replace, 0)
    except (ValueError, RecursionError):
        return replace(text) if name in text or "\\u" in text else text
    return text if changed is None else json.dumps(changed, ensure_ascii=False)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises ValueError where a member stands twice: readers differ in which one counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _in_value(value: Any, steps: Steps, replace: Replace, depth: int) -> Any:
    """The value changed; None when nothing is at `steps`."""
    if not steps:
        return replace(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        changed = in_text(value, steps, replace)
        return None if changed == value else changed
    if not isinstance(value, dict | list):
        return None
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = [(key, new) for key, item in pairs if (new := _member(str(key), item, steps, replace, depth)) is not None]
    if not found:
        return None
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    for key, new in found:
        copy[key] = new
    return copy


def _member(key: str, item: Any, steps: Steps, replace: Replace, depth: int) -> Any:
    step, rest = steps[0], steps[1:]
    if step != DEEP:
        return _in_value(item, rest, replace, depth + 1) if step in (key, ANY) else None
    # Any number of levels: none of them, or this one.
    here = _member(key, item, rest, replace, depth)
    deeper = _in_value(item if here is None else here, steps, replace, depth + 1)
    return here if deeper is None else deeper


def in_any_value(value: Any, steps: Steps, replace: Replace) -> bool:
    """The same for an AnyValue, in place; whether anything was there."""
    kind = value.WhichOneof("value")
    if not steps:
        value.string_value = replace(str(getattr(value, kind)) if kind else "")
        return True
    if kind == "string_value":
        changed = in_text(value.string_value, steps, replace)
        if changed == value.string_value:
            return False
        value.string_value = changed
        return True
    if kind == "bytes_value":
        return _in_bytes(value, steps, replace)
    if kind == "kvlist_value":
        members: Sequence[tuple[str, Any]] = [(pair.key, pair.value) for pair in value.kvlist_value.values]
    elif kind == "array_value":
        members = [(str(at), item) for at, item in enumerate(value.array_value.values)]
    else:
        return False
    return sum(_in_member(key, item, steps, replace) for key, item in members) > 0  # all of them are looked at


def _in_bytes(value: Any, steps: Steps, replace: Replace) -> bool:
    try:
        text = value.bytes_value.decode()
    except UnicodeDecodeError:
        return False
    changed = in_text(text, steps, replace)
    if changed == text:
        return False
    value.bytes_value = changed.encode(errors="replace")
    return True


def _in_member(key: str, item: Any, steps: Steps, replace: Replace) -> bool:
    step, rest = steps[0], steps[1:]
    if step != DEEP:
        return step in (key, ANY) and in_any_value(item, rest, replace)
    here = _in_member(key, item, rest, replace)
    return in_any_value(item, steps, replace) or here
