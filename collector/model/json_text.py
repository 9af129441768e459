"""Answers as JSON in UTF-8, which cannot hold all that texts of JSON can: `"\\ud83d"` is half a surrogate pair."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

_HALF: Final = re.compile("[\ud800-\udfff]")


def json_bytes(content: object) -> bytes:
    """Dicts, lists, texts and plain values as JSON; what is no Unicode in a text is U+FFFD.

    Raises TypeError for anything else.
    """
    try:
        return orjson.dumps(content)
    except TypeError:
        return orjson.dumps(_mended(content))


def whole(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF.sub("\ufffd", text)
    return text


def _mended(value: object) -> object:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, Mapping):
        return {_mended(key): _mended(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_mended(each) for each in value]
    return value
