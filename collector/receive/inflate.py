"""Bounded decompression: no output beyond the limit is ever produced, whatever the input claims."""

import sys
import zlib
from collections.abc import Callable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from collector.errors import Reason, Rejected

GZIP_MAGIC = b"\x1f\x8b"
_AUTO_WBITS = 32 + zlib.MAX_WBITS
_STEP = 1024 * 1024


def inflate(body: bytes, coding: str, limit: int) -> bytes:
    """`body` decoded from the content coding `coding` (gzip, deflate, zstd, identity; case-insensitive).

    Raises Rejected: ENCODING for another coding, MALFORMED for broken data, TOO_LARGE beyond `limit` bytes.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return body
    decode = _CODINGS.get(name)
    if decode is None:
        raise Rejected(
            Reason.ENCODING, f"Content-Encoding {coding!r} is not supported; send gzip, deflate, zstd or none."
        )
    return decode(body, limit)


def known(coding: str) -> bool:
    """Whether `inflate` takes this coding."""
    return coding.strip().lower() in _CODINGS or coding.strip().lower() in ("", "identity")


def _zlib(wbits: int, name: str) -> Callable[[bytes, int], bytes]:
    def decode(body: bytes, limit: int) -> bytes:
        """All members of the stream (RFC 1952 section 2.2); zero padding after the last one is ignored."""
        parts: list[bytes] = []
        size = 0
        rest = body
        while rest or not parts:
            stream = zlib.decompressobj(wbits)
            while not stream.eof:
                part = _some(stream, rest, name)
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                if not part and not stream.unconsumed_tail and not stream.eof:
                    raise Rejected(Reason.MALFORMED, f"The {name} body ends too early.")
                parts.append(part)
                rest = stream.unconsumed_tail
            rest = stream.unused_data
            if not rest.strip(b"\0"):
                break
        return b"".join(parts)

    return decode


def _some(stream: "zlib._Decompress", data: bytes, name: str) -> bytes:
    try:
        return stream.decompress(data, _STEP)
    except zlib.error as error:
        raise Rejected(Reason.MALFORMED, f"The body is not {name}: {error}.") from None


def _zstd(body: bytes, limit: int) -> bytes:
    """All frames of the stream (RFC 8878 section 3.1)."""
    parts: list[bytes] = []
    size = 0
    rest = body
    while rest or not parts:
        # The window bounds what a frame header can make the decoder allocate; 128 MiB is the format's own advice.
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})
        data = rest
        while not frame.eof:
            try:
                part = frame.decompress(data, _STEP)
            except zstd.ZstdError as error:
                raise Rejected(Reason.MALFORMED, f"The body is not zstd: {error}.") from None
            data = b""
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if not part and frame.needs_input and not frame.eof:
                raise Rejected(Reason.MALFORMED, "The zstd body ends too early.")
            parts.append(part)
        rest = frame.unused_data
    return b"".join(parts)


def _too_large(limit: int) -> Rejected:
    return Rejected(
        Reason.TOO_LARGE, f"The request is larger than {limit} bytes once decompressed; send smaller batches."
    )


_CODINGS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _zlib(16 + zlib.MAX_WBITS, "gzip"),
    "x-gzip": _zlib(16 + zlib.MAX_WBITS, "gzip"),
    "deflate": _zlib(_AUTO_WBITS, "deflate"),
    "zstd": _zstd,
}
