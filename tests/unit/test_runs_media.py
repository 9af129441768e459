"""Media of messages in the words of every library, and what images are by their bytes."""

import json
import struct
from typing import Any

import pytest

from collector.runs import Part
from collector.runs.media import Media, media
from collector.runs.messages import Draft
from collector.runs.pictures import Picture, picture
from collector.web.pages.formats import size
from collector.web.pages.gallery import MAX_IMAGE_BYTES, Gallery
from tests.support.images import base64_of, png

IMAGE = png(3, 2)
SENT = base64_of(IMAGE)
DATA_URL = f"data:image/png;base64,{SENT}"
LARGE = png(3, 2, MAX_IMAGE_BYTES)
URL = "https://example.com/cat.png"


def part_of(item: Any) -> Part:
    """As a message's reader hands it on."""
    draft = Draft("user")
    draft.read(json.loads(json.dumps(item)))
    (part,) = draft.done().parts
    return part


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": DATA_URL}}, Media("image/png", base64=SENT)),
        ({"type": "input_image", "image_url": DATA_URL}, Media("image/png", base64=SENT)),
        ({"type": "image_url", "image_url": {"url": URL}}, Media(address=URL)),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": SENT}},
            Media("image/png", base64=SENT),
        ),
        ({"type": "image", "source": {"type": "url", "url": URL}}, Media(address=URL)),
        ({"inline_data": {"mime_type": "image/png", "data": SENT}}, Media("image/png", base64=SENT)),
        ({"inlineData": {"mimeType": "audio/wav", "data": SENT}}, Media("audio/wav", base64=SENT)),
        ({"type": "image", "image": SENT, "mediaType": "image/png"}, Media(base64=SENT)),
        ({"type": "input_audio", "input_audio": {"data": SENT, "format": "wav"}}, Media("audio/wav", base64=SENT)),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{SENT}"}},
            Media("application/pdf", "a.pdf", base64=SENT),
        ),
        ({"type": "file", "file": {"file_id": "file-7"}}, Media(address="file-7")),
        (
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": SENT},
            Media("image/png", base64=SENT),
        ),
        ({"image": {"format": "png", "source": {"bytes": SENT}}}, Media("image/png", base64=SENT)),
        ({"type": "custom", "data": "some words"}, None),
        ({"type": "custom", "value": 7}, None),
    ],
)
def test_media_are_read_whoever_sent_them(item: Any, expected: Media | None) -> None:
    assert media(part_of(item)) == expected


def test_bytes_are_those_that_were_sent() -> None:
    found = Media(base64=SENT.rstrip("=").replace("+", "-").replace("/", "_"))
    assert found.bytes() == IMAGE
    assert found.size == len(IMAGE)
    assert Media(base64="AAAA=AAA").bytes() == b""


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (IMAGE, Picture("image/png", 3, 2)),
        (b"GIF89a" + struct.pack("<HH", 640, 480) + b"\x00", Picture("image/gif", 640, 480)),
        (
            b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc2\x00\x0b\x08" + struct.pack(">HH", 480, 640) + b"\x01\x01\x11\x00",
            Picture("image/jpeg", 640, 480),
        ),
        (
            b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x7f\x02\x00\xdf\x01\x00",
            Picture("image/webp", 640, 480),
        ),
        (
            b"RIFF\x00\x00\x00\x00WEBPVP8L\x05\x00\x00\x00\x2f" + (639 | 479 << 14).to_bytes(4, "little"),
            Picture("image/webp", 640, 480),
        ),
        (
            b"RIFF\x00\x00\x00\x00WEBPVP8 \x0a\x00\x00\x00\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480),
            Picture("image/webp", 640, 480),
        ),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", None),
        (b"\xff\xd8\xff", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", None),
        (b"", None),
    ],
)
def test_an_image_is_what_its_bytes_say(data: bytes, expected: Picture | None) -> None:
    assert picture(data) == expected


@pytest.mark.parametrize(
    ("part", "source", "about"),
    [
        (Part("image_url", DATA_URL), DATA_URL, f"image/png, {len(IMAGE)} bytes, 3 by 2"),
        (Part("image", DATA_URL.replace("image/png", "text/html")), DATA_URL, f"image/png, {len(IMAGE)} bytes, 3 by 2"),
        (Part("image_url", URL), "", "not loaded"),
        (
            Part("image_url", f"data:image/png;base64,{base64_of(LARGE)}"),
            "",
            f"image/png, {size(len(LARGE))}, too large to show here",
        ),
        (
            Part("image_url", f"data:image/png;base64,{base64_of(png(40_000, 40_000))}"),
            "",
            "image/png, 65 bytes, 40000 by 40000, too large to show here",
        ),
        (
            Part("image_url", f"data:image/svg+xml;base64,{base64_of(b'<svg onload=alert(1)>' * 9)}"),
            "",
            "image/svg+xml, 189 bytes, not shown",
        ),
    ],
)
def test_what_is_shown_and_what_is_only_named(part: Part, source: str, about: str) -> None:
    exhibit = Gallery().exhibit(part)
    assert exhibit is not None
    assert (exhibit.source, exhibit.about) == (source, about)


def test_images_of_a_page_are_limited_together() -> None:
    gallery, part = Gallery(), Part("image_url", f"data:image/png;base64,{base64_of(png(2, 2, 400_000))}")
    found = [gallery.exhibit(part) for _ in range(8)]
    assert [bool(one and one.source) for one in found] == [True] * 5 + [False] * 3
    assert Gallery().exhibit(Part("text", DATA_URL)) is None


def test_an_address_leads_nowhere_but_to_the_web() -> None:
    for address, link in ((URL, URL), ("javascript:alert(1)", ""), ("file:///etc/passwd", ""), ("gs://bucket/a", "")):
        exhibit = Gallery().exhibit(Part("image", address))
        assert exhibit is not None
        assert (exhibit.link, exhibit.address, exhibit.source) == (link, address, "")
