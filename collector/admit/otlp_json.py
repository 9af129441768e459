"""OTLP/JSON to protobuf messages (OTLP specification, "JSON Protobuf Encoding").

proto3 JSON with OTLP's deviations: ids are hex in any case, enum values are integers, field names are lowerCamelCase,
unknown names are ignored. `google.protobuf.json_format` decodes hex ids as base64 and takes enum names, so this walks
the message descriptors itself. Lone surrogates, which JavaScript SDKs send when they cut an emoji in two, become U+FFFD
as in the protobuf encoding of the same SDKs.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from typing import Any

from collector.errors import Reason, Rejected
from collector.wire.otlp import CONTAINERS, HEX_FIELDS, MAX_DEPTH

_INTEGER = re.compile(r"-?[0-9]{1,20}\Z")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?\Z")
_SPECIAL_DOUBLES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MAX_SHOWN_LENGTH = 60

# For lone surrogates: those of a pair are one character by now.
_REPLACEMENTS = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
# Characters to replace at once: other threads wait meanwhile.
_SLICE = 65_536


def parse(message: Any, body: bytes) -> Any:
    """`body` as an instance of the protobuf class `message`.

    Raises Rejected(MALFORMED) with the path of the offending value, or Rejected(TOO_DEEP).
    """
    target = message()
    document = _document(message, body)
    if not isinstance(document, dict):
        raise _mismatch("the document", "an object", document)
    _fill(target, document, "", 0)
    return target


def _document(message: Any, body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise Rejected(Reason.TOO_DEEP, "The JSON document nests too deeply.") from None
    except UnicodeDecodeError as error:
        raise Rejected(Reason.MALFORMED, f"The body is not UTF-8 (at byte {error.start}).") from None
    except ValueError as error:
        raise Rejected(Reason.MALFORMED, f"The body is not an {message.DESCRIPTOR.name} in JSON: {error}.") from None


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON; OTLP writes it as a string")


_Setter = Callable[[Any, Any, str, int], None]
_setters: dict[str, dict[str, _Setter]] = {}


def _fill(target: Any, document: dict[str, Any], path: str, depth: int) -> None:
    """Set the fields of `target` named in `document`. `depth` counts containers around this value."""
    descriptor = target.DESCRIPTOR
    setters = _setters.get(descriptor.full_name)
    if setters is None:
        setters = {field.json_name: _setter(field) for field in descriptor.fields}
        _setters[descriptor.full_name] = setters
    if descriptor.name in CONTAINERS:
        depth += 1
        if depth > MAX_DEPTH:
            raise Rejected(Reason.TOO_DEEP, f"An attribute value nests more than {MAX_DEPTH} levels deep.")
    for name, value in document.items():
        setter = setters.get(name)
        if setter is not None and value is not None:  # unknown names are ignored; null is the default
            setter(target, value, f"{path}.{name}" if path else name, depth)


def _setter(field: Any) -> _Setter:
    name = field.name
    if field.type == field.TYPE_MESSAGE:
        return _repeated_messages(name) if field.is_repeated else _single_message(name)
    read = _READERS["hex" if name in HEX_FIELDS else field.cpp_type if field.type != field.TYPE_BYTES else "base64"]
    if field.is_repeated:
        return _repeated_scalars(name, read)

    def set_scalar(target: Any, value: Any, path: str, _depth: int) -> None:
        setattr(target, name, read(value, path))

    return set_scalar


def _single_message(name: str) -> _Setter:
    def set_message(target: Any, value: Any, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise _mismatch(path, "an object", value)
        inner = getattr(target, name)
        inner.SetInParent()
        _fill(inner, value, path, depth)

    return set_message


def _repeated_messages(name: str) -> _Setter:
    def add_messages(target: Any, value: Any, path: str, depth: int) -> None:
        add = getattr(target, name).add
        for position, item in enumerate(_list(value, path)):
            if not isinstance(item, dict):
                raise _mismatch(f"{path}[{position}]", "an object", item)
            _fill(add(), item, f"{path}[{position}]", depth)

    return add_messages


def _repeated_scalars(name: str, read: Callable[[Any, str], Any]) -> _Setter:
    def add_scalars(target: Any, value: Any, path: str, _depth: int) -> None:
        items = [read(item, f"{path}[{position}]") for position, item in enumerate(_list(value, path))]
        getattr(target, name).extend(items)

    return add_scalars


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _mismatch(path, "an array", value)
    return value


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _mismatch(path, "a string", value)
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        slices = (value[start : start + _SLICE] for start in range(0, len(value), _SLICE))
        return "".join(each.translate(_REPLACEMENTS) for each in slices)
    return value


def _boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(path, "true or false", value)
    return value


def _double(value: Any, path: str) -> float:
    if isinstance(value, str):
        if value in _SPECIAL_DOUBLES:
            return _SPECIAL_DOUBLES[value]
        if _NUMBER.match(value):
            return float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise _mismatch(path, "a number", value)


def _integer(low: int, high: int, what: str) -> Callable[[Any, str], int]:
    def read(value: Any, path: str) -> int:
        number = value
        if (isinstance(value, str) and _INTEGER.match(value)) or (isinstance(value, float) and value.is_integer()):
            number = int(value)
        elif isinstance(value, str) and _NUMBER.match(value) and float(value).is_integer():
            number = int(float(value))
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise _mismatch(path, what, value)
        return number

    return read


def _hex(value: Any, path: str) -> bytes:
    try:
        return binascii.unhexlify(value)
    except (ValueError, TypeError):
        raise _mismatch(path, "a hex string", value) from None


def _base64(value: Any, path: str) -> bytes:
    """proto3 JSON takes the standard and the URL-safe alphabet, padded or not."""
    try:
        standard = value.translate(_URL_SAFE).rstrip("=")
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (ValueError, AttributeError):
        raise _mismatch(path, "a base64 string", value) from None


_URL_SAFE = str.maketrans("-_", "+/")

# By FieldDescriptor.cpp_type, except bytes. Enums are open in proto3: any int32 is taken.
_READERS: dict[str | int, Callable[[Any, str], Any]] = {
    1: _integer(-(2**31), 2**31 - 1, "a 32-bit integer"),
    2: _integer(-(2**63), 2**63 - 1, "a 64-bit integer"),
    3: _integer(0, 2**32 - 1, "an unsigned 32-bit integer"),
    4: _integer(0, 2**64 - 1, "an unsigned 64-bit integer"),
    5: _double,
    6: _double,
    7: _boolean,
    8: _integer(-(2**31), 2**31 - 1, "an enum value as an integer"),
    9: _text,
    "hex": _hex,
    "base64": _base64,
}


def _mismatch(path: str, expected: str, value: Any) -> Rejected:
    if isinstance(value, dict | list):
        shown = "an object" if isinstance(value, dict) else "an array"
    else:
        shown = (
            json.dumps(value[:_MAX_SHOWN_LENGTH]) if isinstance(value, str) else json.dumps(value)[:_MAX_SHOWN_LENGTH]
        )
    return Rejected(Reason.MALFORMED, f"The JSON body is not valid OTLP: {path} must be {expected}, not {shown}.")
