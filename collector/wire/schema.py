"""The messages of an export request as tables for the native modules, made from protobuf's own descriptors."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from collector.wire.otlp import CONTAINERS, HEX_FIELDS


class Kind(IntEnum):
    """How a field is written in JSON and in protobuf; the values are those of `FieldKind` in otlp_schema.hpp."""

    SINT = 1
    UINT = 2
    ENUM = 3
    BOOLEAN = 4
    DOUBLE = 5
    STRING = 6
    HEX = 7
    BASE64 = 8
    FIXED_SINT = 9
    FIXED_UINT = 10
    ZIGZAG = 11
    MESSAGE = 12


@dataclass(frozen=True, slots=True)
class Field:
    """`message` is the place in the schema of the message that a field of kind MESSAGE holds, else -1."""

    json_name: str
    number: int
    kind: Kind
    repeated: bool
    wide: bool
    message: int


@dataclass(frozen=True, slots=True)
class Message:
    """`item` marks spans, log records and data points, `container` the values whose nesting is limited."""

    name: str
    item: bool
    container: bool
    fields: tuple[Field, ...]


_KINDS = {
    FieldDescriptor.TYPE_INT32: Kind.SINT,
    FieldDescriptor.TYPE_INT64: Kind.SINT,
    FieldDescriptor.TYPE_UINT32: Kind.UINT,
    FieldDescriptor.TYPE_UINT64: Kind.UINT,
    FieldDescriptor.TYPE_ENUM: Kind.ENUM,
    FieldDescriptor.TYPE_BOOL: Kind.BOOLEAN,
    FieldDescriptor.TYPE_DOUBLE: Kind.DOUBLE,
    FieldDescriptor.TYPE_STRING: Kind.STRING,
    FieldDescriptor.TYPE_BYTES: Kind.BASE64,
    FieldDescriptor.TYPE_SFIXED32: Kind.FIXED_SINT,
    FieldDescriptor.TYPE_SFIXED64: Kind.FIXED_SINT,
    FieldDescriptor.TYPE_FIXED32: Kind.FIXED_UINT,
    FieldDescriptor.TYPE_FIXED64: Kind.FIXED_UINT,
    FieldDescriptor.TYPE_SINT32: Kind.ZIGZAG,
    FieldDescriptor.TYPE_SINT64: Kind.ZIGZAG,
    FieldDescriptor.TYPE_MESSAGE: Kind.MESSAGE,
}
_NARROW = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_ENUM}


def schema_of(request: Descriptor) -> list[Message]:
    """Every message that `request` may hold, itself first."""
    found = list(_reachable(request))
    places = {descriptor.full_name: place for place, descriptor in enumerate(found)}
    return [_message(descriptor, places) for descriptor in found]


def is_item(name: str) -> bool:
    """Whether the message of this name is what the receipt of a request counts."""
    return name in ("Span", "LogRecord") or name.endswith("DataPoint")


def _reachable(request: Descriptor) -> Iterator[Any]:
    seen = {request.full_name}
    waiting = [request]
    while waiting:
        descriptor = waiting.pop(0)
        yield descriptor
        for field in descriptor.fields:
            if field.message_type and field.message_type.full_name not in seen:
                seen.add(field.message_type.full_name)
                waiting.append(field.message_type)


def _message(descriptor: Any, places: dict[str, int]) -> Message:
    fields = tuple(_field(field, places) for field in descriptor.fields)
    return Message(descriptor.name, is_item(descriptor.name), descriptor.name in CONTAINERS, fields)


def _field(field: Any, places: dict[str, int]) -> Field:
    message = places[field.message_type.full_name] if field.message_type else -1
    kind = Kind.HEX if field.name in HEX_FIELDS else _KINDS[field.type]
    return Field(field.json_name, field.number, kind, field.is_repeated, field.cpp_type not in _NARROW, message)
