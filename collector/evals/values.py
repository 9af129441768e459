"""JSON values compared: as JSON has them, not as Python does, in which True is 1."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from collector.runs.document import document

_MAX_DEPTH: Final = 60


def parsed(text: str) -> Any:
    """A text of arguments as a value; a text that is none of JSON is itself."""
    value = document(text)
    if value is not None:
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def equal(first: Any, second: Any) -> bool:
    """1 and 1.0 are equal; 1 and "1", and 1 and true, are not."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, int | float) and isinstance(second, int | float):
        return first == second
    return type(first) is type(second) and bool(first == second)


def within(expected: Any, actual: Any) -> bool:
    """Whether all that is expected is there: of objects some members, of lists each item at its place."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and within(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return isinstance(actual, list | tuple) and len(expected) == len(actual) and all(map(within, expected, actual))
    return equal(expected, actual)


def with_defaults(value: Any, defaults: Mapping[str, Any], ignored: tuple[str, ...]) -> Any:
    """Arguments as they are compared; those that are no object stay as they are."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in {**defaults, **value}.items() if key not in ignored}


def canonical(text: str) -> str:
    """The same text for equal arguments, however they are written."""
    return json.dumps(_canonical(parsed(text), 0), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _canonical(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _canonical(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(one, depth + 1) for one in value]
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else repr(value)
    return value


def plain(value: Decimal) -> str:
    """A number in digits, without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
