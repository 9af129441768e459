"""Small images, made here."""

import base64
import struct
import zlib


def png(width: int = 2, height: int = 2, padding: int = 0) -> bytes:
    """An image of one colour; `padding` bytes that do not compress are in a chunk that browsers skip."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\x00" + b"\x30\x70\xb0" * width for _ in range(height)) if width * height < 1_000_000 else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    skipped = chunk(b"skIp", bytes(padding)) if padding else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + skipped
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
