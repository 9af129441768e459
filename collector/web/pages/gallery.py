"""Media of messages on a page: small images that came with their message are shown, anything else is named.

Nothing is loaded from anywhere: what came as an address stays one, and the policy of content holds pages to it.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from collector.runs import Part
from collector.runs.media import Media, media
from collector.runs.pictures import Picture, picture
from collector.web.pages import formats

MAX_IMAGE_BYTES: Final = 512 * 1024
MAX_PIXELS: Final = 16_000_000  # of an image: few bytes may be many pixels
_MAX_PAGE_BYTES: Final = 2 * 1024 * 1024  # of all images of a page
_MAX_ADDRESS: Final = 200
_SAYS_NOTHING: Final = frozenset({"other", "blob", "uri", "file", ""})
_WORDS: Final = frozenset({"text", "reasoning"})


@dataclass(frozen=True, slots=True)
class Exhibit:
    """How a part is shown. `source` is a data URL of an image, made of checked bytes; `link` is an address of the web.

    `about` says what it is and, where it is not shown, why.
    """

    name: str
    about: str
    address: str = ""
    link: str = ""
    source: str = ""
    width: int = 0
    height: int = 0


class Gallery:
    """The media of one page, which together are limited."""

    def __init__(self) -> None:
        self._left = _MAX_PAGE_BYTES

    def exhibit(self, part: Part) -> Exhibit | None:
        """None for a part that is text, or of which nothing is known."""
        found = media(part) if part.kind not in _WORDS else None
        if found is None:
            return None
        name = found.name[:_MAX_ADDRESS] or _what(part.kind, found.media_type)
        if found.address:
            link = found.address if found.address.startswith(("https://", "http://")) else ""
            about = ", ".join(filter(None, (found.media_type, "not loaded")))
            return Exhibit(name, about[:_MAX_ADDRESS], found.address[:_MAX_ADDRESS], link)
        return self._sent(found, name)

    def _sent(self, found: Media, name: str) -> Exhibit:
        size = formats.size(found.size)
        about = ", ".join(filter(None, (found.media_type[:_MAX_ADDRESS], size)))
        if found.size > min(MAX_IMAGE_BYTES, self._left):
            return Exhibit(name, f"{about}, too large to show here")
        data = found.bytes()
        image = picture(data)
        if image is None:
            return Exhibit(name, f"{about}, not shown")
        about = f"{image.media_type}, {size}, {image.width} by {image.height}"
        if image.width * image.height > MAX_PIXELS:
            return Exhibit(name, f"{about}, too large to show here")
        self._left -= len(data)
        return Exhibit(name, about, source=_source(image, data), width=image.width, height=image.height)


def _what(kind: str, media_type: str) -> str:
    """A word for a part without a name, from the library's own: `image` of `input_image`."""
    word = re.sub(r"^(input|output)_|_url$", "", kind)[:_MAX_ADDRESS]
    return media_type.partition("/")[0] if word in _SAYS_NOTHING and media_type else word


def _source(image: Picture, data: bytes) -> str:
    return f"data:{image.media_type};base64,{base64.b64encode(data).decode()}"


def shown_parts(parts: Sequence[Part], gallery: Gallery, max_text: int, max_other: int) -> list[dict[str, Any]]:
    """Parts for templates, each cut to a length, which `characters` and `shown` say."""
    found = []
    for part in parts:
        exhibit = gallery.exhibit(part)
        most = 0 if exhibit else max_text if part.kind in _WORDS else max_other
        found.append(
            {
                "kind": part.kind,
                "media": exhibit,
                "text": part.text[:most],
                "form": "",
                "characters": 0 if exhibit else len(part.text),
                "shown": min(len(part.text), most),
            }
        )
    return found
