"""What an image is by its own bytes, whatever it was sent as."""

from dataclasses import dataclass
from typing import Final

_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of frames, which begin with the size


@dataclass(frozen=True, slots=True)
class Picture:
    """`media_type` is one of PNG, JPEG, GIF and WebP, which browsers show and in which nothing runs."""

    media_type: str
    width: int
    height: int


def picture(data: bytes) -> Picture | None:
    """What `data` is; None for anything else, and for an image that does not say how large it is."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return _sized("image/png", data[16:20], data[20:24])
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _sized("image/gif", data[7:5:-1], data[9:7:-1])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return _jpeg(data) if data.startswith(b"\xff\xd8\xff") else None


def _sized(media_type: str, width: bytes, height: bytes) -> Picture | None:
    found = Picture(media_type, int.from_bytes(width), int.from_bytes(height))
    return found if found.width and found.height else None


def _webp(data: bytes) -> Picture | None:
    form, body = data[12:16], data[20:]
    if form == b"VP8X" and len(body) >= 10:
        return Picture("image/webp", int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1)
    if form == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return Picture("image/webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if form == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return Picture("image/webp", width, height) if width and height else None
    return None


def _jpeg(data: bytes) -> Picture | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker in _JPEG_SIZES:
            return _sized("image/jpeg", data[at + 7 : at + 9], data[at + 5 : at + 7])
        at += 1 if marker == 0xFF else 2 + length
    return None
