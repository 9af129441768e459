"""Requests as no library writes them: legal oddities of the wire format, and bytes that were damaged on the way."""

from functools import cache
from random import Random
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.otlp import field_bytes, varint

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
_DOUBLE, _INT64, _INT32, _FIXED64, _BOOL, _STRING, _MESSAGE, _BYTES, _UINT32, _FIXED32, _ENUM = (
    1, 3, 5, 6, 8, 9, 11, 12, 13, 7, 14,
)  # fmt: skip
_WIRES = {_DOUBLE: FIXED64, _FIXED64: FIXED64, _FIXED32: FIXED32, _STRING: LENGTH, _MESSAGE: LENGTH, _BYTES: LENGTH}
_TEXTS = (
    b"", b"k", b"service.name", b"a\x00b", b'"\\/', b"\x1f\x7f\n\r\t\b\f", "\u2028\u2029 \u00e9\ud7ff\ue000".encode(),
    "\U0001f600\U0010ffff".encode(), b"x" * 33, b"0123456789" * 20, "\u65e5\u672c\u8a9e".encode() * 12,
)  # fmt: skip
_BAD_TEXTS = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\xe0\x9f\xbf",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"x" * 40 + b"\x80",
)
_NUMBERS = (0, 1, 2, 5, 6, 127, 128, 300, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
_DEEPEST = 14


def request(random: Random) -> bytes:
    """An ExportTraceServiceRequest: mostly plain, with oddities of every kind, now and then malformed."""
    return _message(random, ExportTraceServiceRequest.DESCRIPTOR, 0)


def damaged(random: Random, body: bytes) -> bytes:
    """`body` after a few flips, cuts, insertions and splices."""
    data = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(data))
        other = random.randint(0, len(data))
        match random.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1 if at < len(data):
                data[at] = random.choice((0, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                del data[at : at + random.randint(1, 8)]
            case 3:
                data[at:at] = random.randbytes(random.randint(1, 8))
            case 4:
                data[at:at] = data[min(at, other) : max(at, other)][:200]
            case _:
                del data[random.choice((at, len(data) - 1)) :]
    return bytes(data)


def tag(random: Random, number: int, wire: int) -> bytes:
    return _varint(random, number << 3 | wire, 5)


def _message(random: Random, descriptor: Any, depth: int) -> bytes:
    fields = _fields(descriptor)
    out = [_known(random, random.choice(fields), depth) for _ in range(random.choice((0, 1, 2, 3, len(fields))))]
    if depth <= 3 and random.random() < 0.8:  # most spans have what makes them rows
        out += [_known(random, field, depth) for field in fields if depth < 3 or field.number in (1, 2)]
    if random.random() < 0.1:
        out.append(_unknown(random, random.choice((17, 100, 2**29 - 1)), 0))
    if random.random() < 0.5:
        random.shuffle(out)
    return b"".join(out)


@cache
def _fields(descriptor: Any) -> tuple[Any, ...]:
    return tuple(descriptor.fields)


def _known(random: Random, field: Any, depth: int) -> bytes:
    if random.random() < 0.02:
        return _unknown(random, field.number, 0)  # a known number in whatever wire type
    wire = _WIRES.get(field.type, VARINT)
    if wire == LENGTH:
        content = _content(random, field, depth)
        return tag(random, field.number, wire) + _varint(random, len(content), 5) + content
    return tag(random, field.number, wire) + _scalar(random, wire)


def _content(random: Random, field: Any, depth: int) -> bytes:
    if field.type == _MESSAGE:
        return _message(random, field.message_type, depth + 1) if depth < _DEEPEST else b""
    if field.type == _STRING:
        return random.choice(_BAD_TEXTS if random.random() < 0.001 else _TEXTS)
    size = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}.get(field.name, random.randrange(7))
    if random.random() < 0.1:
        size = random.choice((0, 7, 8, 9, 15, 16, 17))
    return bytes(size) if random.random() < 0.1 else random.randbytes(size)


def _scalar(random: Random, wire: int) -> bytes:
    if wire == VARINT:
        return _varint(random, random.choice((*_NUMBERS, random.randrange(2**64))), 10)
    return random.choice((bytes(8), b"\xff" * 8, random.randbytes(8)))[: 8 if wire == FIXED64 else 4]


def _unknown(random: Random, number: int, depth: int) -> bytes:
    wire = random.choice(
        (VARINT, FIXED64, LENGTH, GROUP, FIXED32, *((END_GROUP, 6, 7) if random.random() < 0.01 else ()))
    )
    start = tag(random, number, wire)
    if wire == LENGTH:
        return start + field_bytes(1, random.choice(_TEXTS))[1:]
    if wire == GROUP:
        inner = b"".join(_unknown(random, random.choice((1, 9, 99)), depth + 1) for _ in range(random.randrange(3)))
        end = number if random.random() < 0.98 else number + 1
        return start + (inner if depth < _DEEPEST else b"") + tag(random, end, END_GROUP)
    return start + (_scalar(random, wire) if wire in (VARINT, FIXED64, FIXED32) else b"")


def _varint(random: Random, number: int, longest: int) -> bytes:
    """Now and then longer than it has to be, up to `longest` bytes and rarely beyond."""
    shortest = varint(number)
    if random.random() > 0.02:
        return shortest
    padding = random.randint(0, longest - len(shortest)) if random.random() < 0.99 else longest
    return shortest if not padding else shortest[:-1] + bytes([shortest[-1] | 0x80]) + b"\x80" * (padding - 1) + b"\x00"
