"""AnyValue as text, the way the Collector's ClickHouse exporter writes it (pdata Value.AsString).

Numbers as JavaScript prints them, bytes as standard base64, arrays and key-value lists as compact JSON with sorted
keys and no HTML escapes, an unset value as the empty string. One difference: NaN and infinities are `NaN`, `Infinity`
and `-Infinity` (quoted inside JSON, as proto3 JSON has them), where Go's encoder gives an error text.
"""

import base64
import json
import math
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
        return "{" + ",".join(f"{_quote(key)}:{_json(plain[key])}" for key in sorted(plain)) + "}"
    if isinstance(plain, list):
        return "[" + ",".join(map(_json, plain)) + "]"
    if plain is None:
        return "null"
    if isinstance(plain, str):
        return _quote(plain)
    words = scalar_text(plain)
    unquoted = isinstance(plain, bool | int) or (isinstance(plain, float) and math.isfinite(plain))
    return words if unquoted else f'"{words}"'


def _quote(string: str) -> str:
    # Go escapes the two line separators even without HTML escaping.
    return json.dumps(string, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
