"""OTLP messages in its JSON mapping: hex ids, numbers for enums, 64-bit integers as strings."""

import base64
import math
from typing import Any

import orjson
from google.protobuf.descriptor import FieldDescriptor

from collector.wire.otlp import HEX_FIELDS

_WIDE = frozenset({FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64})


def otlp_json(message: Any) -> bytes:
    """`message` as JSON; what is not set is left out."""
    return orjson.dumps(plain(message))


def plain(message: Any) -> dict[str, Any]:
    """`message` as what JSON has."""
    document: dict[str, Any] = {}
    for field, value in message.ListFields():
        document[field.json_name] = (
            [_value(field, item) for item in value] if field.is_repeated else _value(field, value)
        )
    return document


def _value(field: Any, value: Any) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return plain(value)
    if field.type == field.TYPE_BYTES:
        return value.hex() if field.name in HEX_FIELDS else base64.b64encode(value).decode()
    if field.type in _WIDE:
        return str(value)
    if field.type == field.TYPE_DOUBLE and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
