"""Images, sounds and files in messages: what a part says of them, in the words of every library."""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from collector.runs.document import document
from collector.runs.messages import Part, first

_TYPES: Final = ("mime_type", "media_type", "mimeType", "mediaType", "contentType", "content_type")
_NAMES: Final = ("filename", "file_name", "fileName", "title", "name")
_ADDRESSES: Final = ("url", "uri", "file_uri", "fileUri", "image_url", "file_id", "fileId")
_CONTENTS: Final = ("data", "content", "bytes", "base64", "file_data", "fileData", "image", "audio")
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?[^,]{0,100},", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}", re.ASCII)
_MIN_BASE64: Final = 64  # shorter ones may be words
_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Media:
    """`media_type` and `name` are as they were sent and may be empty. Either `base64` is what was sent, or `address`
    says where it is: a URL, or a name that only the provider knows. `size` is that of the bytes, or 0.
    """

    media_type: str = ""
    name: str = ""
    address: str = ""
    base64: str = ""

    @property
    def size(self) -> int:
        return len(self.base64.rstrip("=")) * 3 // 4

    def bytes(self) -> bytes:
        """Empty when what was sent as base64 is none."""
        text = self.base64.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
        except binascii.Error:
            return b""


def media(part: Part) -> Media | None:
    """What a part is that is no text; None when it says neither where nor what it is."""
    text = part.text
    if text.startswith("data:"):
        return _of_data(text, {})
    item = document(text)
    if isinstance(item, dict):
        return _of_item(item)
    if _is_base64(text):
        return Media(base64=text)
    return Media(address=text) if re.match(r"\w[\w+.-]{1,20}:|/", text) and "\n" not in text else None


def _of_item(item: Mapping[str, Any]) -> Media | None:
    said: dict[str, str] = {}
    for inner in _inside(item, _DEPTH):
        for kind, keys in (("type", _TYPES), ("name", _NAMES), ("address", _ADDRESSES), ("content", _CONTENTS)):
            found = first(dict(inner), *keys)
            if isinstance(found, str) and found:
                said.setdefault(kind, found)
        form = inner.get("format")
        if isinstance(form, str) and form and "type" not in said:
            said["type"] = form if "/" in form else f"{'audio' if 'audio' in str(item.get('type')) else 'image'}/{form}"
    for key in ("content", "address"):
        if said.get(key, "").startswith("data:"):
            return _of_data(said[key], said)
    if _is_base64(said.get("content", "")):
        return Media(said.get("type", ""), said.get("name", ""), base64=said["content"])
    if said.get("address"):
        return Media(said.get("type", ""), said.get("name", ""), address=said["address"])
    return None


def _inside(item: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """The item and the objects within it, outer ones first."""
    yield item
    if depth:
        for value in item.values():
            if isinstance(value, dict):
                yield from _inside(value, depth - 1)


def _of_data(text: str, said: Mapping[str, str]) -> Media | None:
    found = _DATA.match(text)
    if found is None or not found[0].endswith(";base64,"):
        return None
    return Media(found[1] or said.get("type", ""), said.get("name", ""), base64=text[found.end() :])


def _is_base64(text: str) -> bool:
    return len(text) >= _MIN_BASE64 and _BASE64.fullmatch(text) is not None
