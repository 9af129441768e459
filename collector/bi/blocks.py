"""ClickHouse's own compressed blocks, which clients ask for with `compress=1` and send with `decompress=1`.

A block is a checksum (CityHash128 of the rest), a byte for the method, the size of the block without its checksum, the
size unpacked, and the content, packed by LZ4.
"""

import struct
from typing import Final

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

from collector.bi.errors import QueryError

_LZ4: Final = 0x82
_HEAD = struct.Struct("<BII")
_CHECKSUM = struct.Struct("<QQ")
_HALF = (1 << 64) - 1
_BLOCK_BYTES = 1 << 20


class Blocks:
    """Packs a stream into blocks of at most a mebibyte."""

    def update(self, data: bytes) -> bytes:
        return b"".join(_block(data[at : at + _BLOCK_BYTES]) for at in range(0, len(data), _BLOCK_BYTES))

    def finish(self) -> bytes:
        return b""


def unpack_blocks(body: bytes, limit: int) -> bytes:
    """What blocks hold, at most one byte more than `limit`. Raises QueryError for what are no such blocks."""
    unpacked = bytearray()
    while body:
        content, body = _first(body, limit + 1 - len(unpacked))
        unpacked += content
        if len(unpacked) > limit:
            break
    return bytes(unpacked)


def _block(data: bytes) -> bytes:
    packed: bytes = lz4.block.compress(data, store_size=False)
    rest = _HEAD.pack(_LZ4, _HEAD.size + len(packed), len(data)) + packed
    return _checksum(rest) + rest


def _first(body: bytes, most: int) -> tuple[bytes, bytes]:
    start = _CHECKSUM.size + _HEAD.size
    if len(body) < start:
        raise _no_blocks()
    method, size, plain = _HEAD.unpack_from(body, _CHECKSUM.size)
    end = _CHECKSUM.size + size
    if (
        method != _LZ4
        or size < _HEAD.size
        or end > len(body)
        or body[: _CHECKSUM.size] != _checksum(body[_CHECKSUM.size : end])
    ):
        raise _no_blocks()
    if plain > most:
        return bytes(most), b""
    try:
        content: bytes = lz4.block.decompress(body[start:end], uncompressed_size=plain)
    except lz4.block.LZ4BlockError:
        raise _no_blocks() from None
    if len(content) != plain:
        raise _no_blocks()
    return content, body[end:]


def _checksum(data: bytes) -> bytes:
    number = CityHash128(data)
    return _CHECKSUM.pack(number >> 64, number & _HALF)


def _no_blocks() -> QueryError:
    return QueryError(271, "CANNOT_DECOMPRESS", "The body is no compressed blocks of ClickHouse (LZ4).", 400)
