"""Fingerprints of log records and metric points: equal for equal content, however it was encoded or batched.

XXH64 of canonical little-endian words: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md. The order of
attributes does not matter, the kind of a value does. `fingerprint.hpp` is the same in C++.
"""

import struct
from collections.abc import Iterable
from typing import Any

_MASK = 2**64 - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5

# What tells equal rows of one request apart is added to their fingerprint once for each before it.
ORDINAL_STEP = 0x9E3779B97F4A7C15

# Seeds of values are the field numbers of AnyValue; one that is not set, or of a kind unknown here, is 0.
_KINDS = {
    "string_value": 1,
    "bool_value": 2,
    "int_value": 3,
    "double_value": 4,
    "array_value": 5,
    "kvlist_value": 6,
    "bytes_value": 7,
}
_TEXT = 1


def xxh64(data: bytes, seed: int = 0) -> int:
    """XXH64 of `data`."""
    size, at = len(data), 0
    if size < 32:
        total = seed + _P5
    else:
        lanes = [seed + _P1 + _P2, seed + _P2, seed, seed - _P1]
        words = struct.unpack_from(f"<{size // 32 * 4}Q", data)
        for number, word in enumerate(words):
            lane = (lanes[number & 3] + word * _P2) & _MASK
            lanes[number & 3] = (_rotated(lane, 31) * _P1) & _MASK
        at = len(words) * 8
        total = sum(_rotated(lane & _MASK, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True))
        for lane in lanes:
            total = ((total & _MASK) ^ _round(lane)) * _P1 + _P4
    total = (total + size) & _MASK
    for (word,) in struct.iter_unpack("<Q", data[at : at + (size - at) // 8 * 8]):
        total = (_rotated(total ^ _round(word), 27) * _P1 + _P4) & _MASK
    at += (size - at) // 8 * 8
    if size - at >= 4:
        total = (_rotated(total ^ (int.from_bytes(data[at : at + 4], "little") * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in data[at:]:
        total = (_rotated(total ^ (byte * _P5 & _MASK), 11) * _P1) & _MASK
    total = ((total ^ (total >> 33)) * _P2) & _MASK
    total = ((total ^ (total >> 29)) * _P3) & _MASK
    return total ^ (total >> 32)


def _rotated(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & _MASK


def _round(word: int) -> int:
    return (_rotated((word * _P2) & _MASK, 31) * _P1) & _MASK


def words(*numbers: int, seed: int = 0) -> int:
    """The fingerprint of numbers, as 64 bits each."""
    return xxh64(struct.pack(f"<{len(numbers)}Q", *(number & _MASK for number in numbers)), seed)


def text(string: str) -> int:
    """The fingerprint of a string."""
    return xxh64(string.encode(), _TEXT)


def double(number: float) -> int:
    """The bits of a double."""
    bits: int = struct.unpack("<Q", struct.pack("<d", number))[0]
    return bits


def value(message: Any) -> int:
    """The fingerprint of an AnyValue."""
    kind = message.WhichOneof("value")
    seed = _KINDS.get(kind, 0)
    if seed == 0:
        return words()
    plain = getattr(message, kind)
    if kind == "string_value":
        return xxh64(plain.encode(), seed)
    if kind == "bytes_value":
        return xxh64(plain, seed)
    if kind == "array_value":
        return words(*map(value, plain.values), seed=seed)
    if kind == "kvlist_value":
        return words(attributes(plain.values), seed=seed)
    return words(double(plain) if kind == "double_value" else int(plain), seed=seed)


def attributes(pairs: Iterable[Any]) -> int:
    """The fingerprint of KeyValue messages in any order."""
    return sum(words(text(pair.key), value(pair.value)) for pair in pairs) & _MASK


class Ordinals:
    """Row keys of one request: equal fingerprints get different ones, in the order they come."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def row_key(self, fingerprint: int) -> int:
        ordinal = self._seen.get(fingerprint, 0)
        self._seen[fingerprint] = ordinal + 1
        return (fingerprint + ordinal * ORDINAL_STEP) & _MASK
