"""Bounded decompression: no output beyond the limit is ever produced, whatever the input claims."""

import zlib
from collections.abc import Callable

from collector.errors import Reason, Rejected
from collector.net.zstd import zstd

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_WINDOW_32K = 0x78
_AUTO_WBITS = 32 + zlib.MAX_WBITS
# Output comes in steps of this size, input goes in slices of that: the decoders copy what they did not use.
_STEP = 1024 * 1024
_FEED = 32 * 1024
_MAX_MEMBERS = 10_000


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


def compression(message: bytes) -> str:
    """The coding of a gRPC message, by its first bytes: the library tells neither the flag nor grpc-encoding.

    No export request begins like gzip (wire type 7 does not exist) or like zlib, whose first byte would be a field 15.
    """
    if message.startswith(_GZIP_MAGIC):
        return "gzip"
    if len(message) > 1 and message[0] == _ZLIB_WINDOW_32K and int.from_bytes(message[:2]) % 31 == 0:
        return "deflate"
    return ""


def _zlib(wbits: int, name: str) -> Callable[[bytes, int], bytes]:
    def decode(body: bytes, limit: int) -> bytes:
        """All members of the stream (RFC 1952 section 2.2); zero padding after the last one is ignored."""
        out = _Output(limit, name)
        view = memoryview(body)
        at = 0
        while True:
            out.begin_member()
            stream = zlib.decompressobj(wbits)
            while not stream.eof:
                data = stream.unconsumed_tail
                if not data:
                    data = bytes(view[at : at + _FEED])
                    at += len(data)
                try:
                    part = stream.decompress(data, _STEP)
                except zlib.error as error:
                    raise Rejected(Reason.MALFORMED, f"The body is not {name}: {error}.") from None
                out.add(part, starved=not data and not stream.eof)
            at -= len(stream.unused_data)
            # No member begins with a zero byte.
            if at == len(body) or (view[at] == 0 and not bytes(view[at:]).strip(b"\0")):
                return out.whole()

    return decode


def _zstd(body: bytes, limit: int) -> bytes:
    """All frames of the stream (RFC 8878 section 3.1)."""
    out = _Output(limit, "zstd")
    view = memoryview(body)
    at = 0
    while True:
        out.begin_member()
        # The window bounds what a frame header can make the decoder allocate; 128 MiB is the format's own advice.
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 27})
        while not frame.eof:
            wants_input = frame.needs_input
            data = bytes(view[at : at + _FEED]) if wants_input else b""
            at += len(data)
            try:
                part = frame.decompress(data, _STEP)
            except zstd.ZstdError as error:
                raise Rejected(Reason.MALFORMED, f"The body is not zstd: {error}.") from None
            out.add(part, starved=wants_input and not data and not frame.eof)
        at -= len(frame.unused_data)
        if at == len(body):
            return out.whole()


class _Output:
    """What one body decompresses to, and what it may cost."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._parts: list[bytes] = []
        self._size = 0
        self._members = 0

    def begin_member(self) -> None:
        """Count a member. Raises Rejected(MALFORMED) beyond any sane number: each costs a decoder."""
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise Rejected(Reason.MALFORMED, f"The {self._name} body has more than {_MAX_MEMBERS} members.")

    def add(self, part: bytes, *, starved: bool) -> None:
        """Keep one step's output; `starved` when the decoder wanted input and there was none left."""
        self._size += len(part)
        if self._size > self._limit:
            raise _too_large(self._limit)
        if part:
            self._parts.append(part)
        elif starved:
            raise Rejected(Reason.MALFORMED, f"The {self._name} body ends too early.")

    def whole(self) -> bytes:
        return b"".join(self._parts)


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
