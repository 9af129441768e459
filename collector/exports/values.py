"""Texts of attributes as the values that were sent, by their types (`decode.anyvalue`).

A text that its type cannot have written, as one that `store.content_ttl` has emptied, is a string.
"""

import base64
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.wire.otlp import MAX_DEPTH

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z")
_DOUBLE = re.compile(r"(-?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?|NaN|-?Infinity)\Z")
_INT64 = range(-(2**63), 2**63)


def key_values(pairs: Iterable[tuple[str, str]], types: Mapping[str, str]) -> list[Any]:
    """The attributes of a row as KeyValue messages. `types` are those of its OtlpDetails, by key."""
    return [KeyValue(key=key, value=any_value(text, types.get(key, "string"))) for key, text in pairs]


def any_value(text: str, kind: str) -> Any:
    """The AnyValue of `kind` whose text this is."""
    if kind == "string":
        return AnyValue(string_value=text)
    try:
        return _READERS[kind](text) if kind in _READERS else _container(kind, text)
    except (ValueError, RecursionError):
        return AnyValue(string_value=text)


def _none(text: str) -> Any:
    return _string(text) if text else AnyValue()


def _boolean(text: str) -> Any:
    return AnyValue(bool_value=text == "true") if text in {"true", "false"} else _string(text)


def _string(text: str) -> Any:
    return AnyValue(string_value=text)


def _integer(text: str) -> Any:
    return AnyValue(int_value=int(text)) if _INTEGER.match(text) and int(text) in _INT64 else _string(text)


def _double(text: str) -> Any:
    return AnyValue(double_value=float(text)) if _DOUBLE.match(text) else _string(text)


def _bytes(text: str) -> Any:
    return AnyValue(bytes_value=base64.b64decode(text, validate=True))


_READERS: Mapping[str, Callable[[str], Any]] = {
    "none": _none,
    "bool": _boolean,
    "int": _integer,
    "double": _double,
    "bytes": _bytes,
}


def _container(kind: str, text: str) -> Any:
    value = json.loads(text, parse_int=_json_integer)
    if isinstance(value, list if kind.startswith("[") else dict):
        return _of_json(value, kind, 0)
    return _string(text)


def _json_integer(text: str) -> int | float:
    return -0.0 if text == "-0" else int(text)


def _of_json(value: Any, kind: str, depth: int) -> Any:
    """A value of a JSON text; `kind` is empty where the JSON has its type by itself."""
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, list):
        found = AnyValue()
        found.array_value.SetInParent()
        kinds = _members(kind, len(value))
        found.array_value.values.extend(_of_json(item, of, depth + 1) for item, of in zip(value, kinds, strict=True))
        return found
    if isinstance(value, dict):
        found = AnyValue()
        found.kvlist_value.SetInParent()
        kinds = _members(kind, len(value))
        found.kvlist_value.values.extend(
            KeyValue(key=key, value=_of_json(item, of, depth + 1))
            for (key, item), of in zip(value.items(), kinds, strict=True)
        )
        return found
    return _scalar(value, kind)


def _scalar(value: Any, kind: str) -> Any:
    if kind == "double" and not isinstance(value, bool):
        return AnyValue(double_value=float(value))
    if kind == "bytes" and isinstance(value, str):
        return _bytes(value)
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and value in _INT64:
        return AnyValue(int_value=value)
    return AnyValue(double_value=float(value)) if isinstance(value, int | float) else AnyValue(string_value=value)


@functools.lru_cache(1024)
def _listed(kind: str) -> tuple[str, ...]:
    """The types of members that a container's type lists."""
    found, depth, begin = [], 0, 1
    for at, mark in enumerate(kind[1:-1], 1):
        depth += (mark in "[{") - (mark in "]}")
        if mark == "," and not depth:
            found.append(kind[begin:at])
            begin = at + 1
    return (*found, kind[begin:-1]) if len(kind) > len("[]") else ()


def _members(kind: str, count: int) -> tuple[str, ...]:
    """The type of each of `count` members."""
    listed = _listed(kind) if kind else ()
    if len(listed) == count:
        return listed
    return (listed[0] if len(listed) == 1 else "",) * count
