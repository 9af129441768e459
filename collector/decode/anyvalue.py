"""AnyValue as text, the way the Collector's ClickHouse exporter writes it (pdata Value.AsString).

Numbers as JavaScript prints them, bytes as standard base64, arrays and key-value lists as compact JSON with sorted
keys and no HTML escapes, an unset value as the empty string. One difference: NaN and infinities are `NaN`, `Infinity`
and `-Infinity` (quoted inside JSON, as proto3 JSON has them), where Go's encoder gives an error text.
"""

import base64
import json
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any


def text(value: Any) -> str:
    """The text of one AnyValue message."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    plain = _plain(value, kind)
    return "" if plain is None else scalar_text(plain)


def scalar_text(plain: Any) -> str:
    """The text of a plain value that is no string: bool, int, float, bytes, list or dict."""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, float):
        return double_text(plain)
    if isinstance(plain, bytes):
        return base64.b64encode(plain).decode()
    return _json(plain) if isinstance(plain, list | dict) else str(plain)


def double_text(number: float) -> str:
    """ES6 Number::toString, except that minus zero keeps its sign."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    magnitude = abs(number)
    if magnitude and (magnitude < 1e-6 or magnitude >= 1e21):
        mantissa, _, exponent = repr(number).partition("e")
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    plain = format(Decimal(repr(number)), "f")
    return plain.rstrip("0").removesuffix(".") if "." in plain else plain


def type_name(value: Any) -> str:
    """What the text of an AnyValue message does not say of its type.

    `string`, `bool`, `int`, `double`, `bytes`, `none` (no value), `[...]` for arrays and `{...}` for key-value lists:
    within brackets the types of the members, one when it is that of all of them, and nothing when the JSON says it.
    Members of a list are in the order of their keys.
    """
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return _container("[", map(type_name, value.array_value.values), "]")
    if kind == "kvlist_value":
        members = {pair.key: pair.value for pair in value.kvlist_value.values}
        return _container("{", (type_name(members[key]) for key in sorted(members)), "}")
    return _TYPE_NAMES.get(kind, "none")


_TYPE_NAMES = {
    "string_value": "string",
    "bool_value": "bool",
    "int_value": "int",
    "double_value": "double",
    "bytes_value": "bytes",
}
# Types that a value in JSON has by itself.
_IN_JSON = frozenset({"string", "bool", "int", "none", "[]", "{}"})


def _container(opening: str, members: Iterable[str], closing: str) -> str:
    listed = list(members)
    if _IN_JSON.issuperset(listed):
        return opening + closing
    different = listed[:1] if len(set(listed)) == 1 else listed
    return opening + ",".join(different) + closing


def _plain(value: Any, kind: str | None) -> Any:
    if kind == "array_value":
        return [_plain(item, item.WhichOneof("value")) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _plain(pair.value, pair.value.WhichOneof("value")) for pair in value.kvlist_value.values}
    if kind in (None, "string_value_strindex"):  # a profile's index into a table we do not have: absent
        return None
    return getattr(value, kind)


def _json(plain: Any) -> str:
    if isinstance(plain, dict):
        return "{" + ",".join(f"{quoted(key)}:{_json(plain[key])}" for key in sorted(plain)) + "}"
    if isinstance(plain, list):
        return "[" + ",".join(map(_json, plain)) + "]"
    if plain is None:
        return "null"
    if isinstance(plain, str):
        return quoted(plain)
    words = scalar_text(plain)
    unquoted = isinstance(plain, bool | int) or (isinstance(plain, float) and math.isfinite(plain))
    return words if unquoted else f'"{words}"'


def quoted(string: str) -> str:
    """A string in JSON, as Go writes it."""
    # Go escapes the two line separators even without HTML escaping.
    return json.dumps(string, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
