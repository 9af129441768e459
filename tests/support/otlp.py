"""OTLP written and read by tests in their own words: what a request says, independent of the code under test."""

import base64
import itertools
import math
import os
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_HEX_NAMES = frozenset({"trace_id", "span_id", "parent_span_id"})
_WIDE = frozenset({"int64", "uint64", "sint64", "fixed64", "sfixed64"})
_TYPE_NAMES = {3: "int64", 4: "uint64", 6: "fixed64", 16: "sfixed64", 18: "sint64"}
_MESSAGE, _BYTES, _DOUBLE = 11, 12, 1

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")


def trace_id() -> bytes:
    return os.urandom(15) + b"\x01"


def span_id() -> bytes:
    return os.urandom(7) + b"\x01"


def any_value(plain: Any) -> Any:
    """An AnyValue of a plain value; None is one without a value, an AnyValue stays itself."""
    if isinstance(plain, AnyValue):
        return plain
    value: Any = AnyValue()
    if isinstance(plain, bool):
        value.bool_value = plain
    elif isinstance(plain, int):
        value.int_value = plain
    elif isinstance(plain, float):
        value.double_value = plain
    elif isinstance(plain, str):
        value.string_value = plain
    elif isinstance(plain, bytes):
        value.bytes_value = plain
    elif isinstance(plain, list):
        value.array_value.SetInParent()
        value.array_value.values.extend(map(any_value, plain))
    elif isinstance(plain, dict):
        value.kvlist_value.SetInParent()
        value.kvlist_value.values.extend(attributes(plain))
    return value


def attributes(plain: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> list[Any]:
    pairs = plain.items() if isinstance(plain, Mapping) else plain
    return [KeyValue(key=key, value=any_value(value)) for key, value in pairs]


def span(attrs: Mapping[str, Any] | Iterable[tuple[str, Any]] = (), **fields: Any) -> Any:
    """A valid span with ids of its own; `fields` override."""
    now = time.time_ns()
    plain = {
        "trace_id": trace_id(),
        "span_id": span_id(),
        "name": "conformance",
        "kind": 2,
        "start_time_unix_nano": now - 1_000_000,
        "end_time_unix_nano": now,
        **fields,
    }
    return Span(attributes=attributes(attrs), **plain)


def request(*spans: Any, resource: Mapping[str, Any] | None = None) -> Any:
    """One ExportTraceServiceRequest with one resource and one scope."""
    message: Any = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(
        attributes({"service.name": "conformance"} if resource is None else resource)
    )
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "tests"
    scope_spans.spans.extend(spans)
    return message


def json_of(message: Any) -> dict[str, Any]:
    """`message` as a document of the OTLP/JSON mapping: hex ids, enum numbers, 64-bit integers as strings."""
    document: dict[str, Any] = {}
    for field, value in message.ListFields():
        items = [_json_value(field, item) for item in value] if field.is_repeated else _json_value(field, value)
        document[field.json_name] = items
    return document


def _json_value(field: Any, value: Any) -> Any:
    if field.type == _MESSAGE:
        return json_of(value)
    if field.type == _BYTES:
        return value.hex() if field.name in _HEX_NAMES else base64.b64encode(value).decode()
    if _TYPE_NAMES.get(field.type) in _WIDE:
        return str(value)
    if field.type == _DOUBLE and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


# -- attribute values as text, by the rules of the Collector's ClickHouse exporter ------------------------------------


def text_of(value: Any) -> str:
    """What an AnyValue reads as in the table."""
    plain = plain_of(value)
    if isinstance(plain, str):
        return plain
    return "" if plain is None else _bare(plain)


def plain_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain_of(pair.value) for pair in value.kvlist_value.values}
    return None if kind in (None, "string_value_strindex") else getattr(value, kind)


def _bare(plain: Any) -> str:
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, int):
        return str(plain)
    if isinstance(plain, float):
        return number_text(plain)
    if isinstance(plain, bytes):
        return base64.standard_b64encode(plain).decode("ascii")
    return _document(plain)


def _document(plain: Any) -> str:
    if plain is None:
        return "null"
    if isinstance(plain, str):
        return '"' + "".join(map(_escaped, plain)) + '"'
    if isinstance(plain, list):
        return f"[{','.join(map(_document, plain))}]"
    if isinstance(plain, dict):
        keys = sorted(plain, key=lambda key: key.encode())
        return "{" + ",".join(f"{_document(key)}:{_document(plain[key])}" for key in keys) + "}"
    quoted = isinstance(plain, bytes) or (isinstance(plain, float) and not math.isfinite(plain))
    return f'"{_bare(plain)}"' if quoted else _bare(plain)


def _escaped(character: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
    if character in short:
        return short[character]
    return f"\\u{ord(character):04x}" if character < " " or character in "\u2028\u2029" else character


def number_text(number: float) -> str:
    """The shortest digits that read back as `number`, placed as ECMAScript does (minus zero keeps its sign)."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    sign = "-" if math.copysign(1, number) < 0 else ""
    if number == 0:
        return f"{sign}0"
    _, digit_tuple, exponent = Decimal(repr(abs(number))).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    point = len(digits) + exponent  # the value is 0.DIGITS times ten to this power
    if not -6 < point <= 21:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


# -- protobuf by hand -------------------------------------------------------------------------------------------------


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field_bytes(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def wrapped(span_bytes: bytes) -> bytes:
    """A request around the bytes of a Span."""
    return field_bytes(1, field_bytes(2, field_bytes(2, span_bytes)))


def nested_value(depth: int, *, lists: bool) -> bytes:
    """An AnyValue of `depth` arrays (or key-value lists) around the string `x`; protobuf refuses to build deep ones."""
    value = field_bytes(1, b"x")
    for _ in range(depth):
        value = field_bytes(5, field_bytes(1, value)) if lists else field_bytes(6, field_bytes(1, nested_pair(value)))
    return value


def nested_pair(value: bytes) -> bytes:
    return field_bytes(1, b"k") + field_bytes(2, value)


def nested_request(depth: int, *, lists: bool, **fields: Any) -> bytes:
    """A request whose only span has the attribute `k` nested `depth` levels deep."""
    return wrapped(span(**fields).SerializeToString() + field_bytes(9, nested_pair(nested_value(depth, lists=lists))))


def nested_text(depth: int, *, lists: bool) -> str:
    """The text of `nested_value`."""
    opening, closing = ("[", "]") if lists else ('{"k":', "}")
    return opening * depth + ('"x"' if depth else "x") + closing * depth


def chunks(data: bytes, size: int) -> Iterable[bytes]:
    return itertools.takewhile(bool, (data[at : at + size] for at in itertools.count(0, size)))
