"""Answers packed as the client takes them, piece by piece."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import lz4.frame

from collector.bi.blocks import Blocks
from collector.net.codings import preferred_coding
from collector.net.zstd import zstd


class Packer(Protocol):
    """Packs a stream. What comes out after `update` may be unpacked when it arrives."""

    def update(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


class _Zlib:
    def __init__(self, wbits: int) -> None:
        self._stream = zlib.compressobj(level=1, wbits=wbits)

    def update(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstd.ZstdCompressor(level=1)

    def update(self, data: bytes) -> bytes:
        return self._stream.compress(data, zstd.ZstdCompressor.FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._stream.flush()


class _Lz4:
    def __init__(self) -> None:
        self._stream = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._head: bytes = self._stream.begin()

    def update(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._stream.compress(data))

    def finish(self) -> bytes:
        return self._head + bytes(self._stream.flush())


class Plain:
    """Not packed."""

    def update(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


# The ones that pack best for their time first.
_PACKERS: Final[Mapping[str, Callable[[], Packer]]] = {
    "zstd": _Zstd,
    "lz4": _Lz4,
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(15),
}


def packing(url: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, Packer]:
    """The Content-Encoding of the answer and what packs it; ClickHouse packs only where the URL asks for it."""
    if url.get("compress", "0") in ("1", "true"):
        return "", Blocks()
    if url.get("enable_http_compression", "0") not in ("1", "true"):
        return "", Plain()
    name = preferred_coding(headers.get("accept-encoding", ""), _PACKERS)
    return (name, _PACKERS[name]()) if name else ("", Plain())
