"""A second look at protobuf that the library refused: repair text that is not UTF-8, allow AnyValue to nest deeper.

Senders that do not check their strings (C++ does not) would otherwise lose a whole batch for one byte. The walk follows
the message descriptors over the wire format (protobuf.dev/programming-guides/encoding) and copies what it does not need
to change. It works in Python, so it gives up on bodies with too many fields to look at in reasonable time.
"""

from dataclasses import dataclass, field
from typing import Any

from collector.errors import Reason, Rejected
from collector.wire.otlp import MAX_DEPTH

_MAX_FIELDS = 100_000
_MAX_VARINT = 10
_VARINT, _FIXED64, _LENGTH, _START_GROUP, _END_GROUP, _FIXED32 = range(6)
_TYPE_STRING, _TYPE_MESSAGE = 9, 11
_CONTAINERS = frozenset({"opentelemetry.proto.common.v1.ArrayValue", "opentelemetry.proto.common.v1.KeyValueList"})


def repair(descriptor: Any, body: bytes) -> tuple[bytes, int]:
    """`body` with every invalid string in it replaced as UTF-8 decoders do (U+FFFD), and how many there were.

    Raises Rejected: MALFORMED when it is no message of this kind, TOO_DEEP when AnyValue nests beyond MAX_DEPTH.
    """
    walk = _Walk(body, str(descriptor.name))
    repaired = walk.message(descriptor, 0, len(body), 0)
    return body if repaired is None else repaired, walk.repaired


@dataclass(slots=True)
class _Walk:
    data: bytes
    name: str
    repaired: int = 0
    fields: int = 0
    _descriptors: dict[str, dict[int, Any]] = field(default_factory=dict)

    def message(self, descriptor: Any, at: int, end: int, depth: int) -> bytes | None:
        """The repaired bytes of one message, or None where nothing had to change."""
        if depth > MAX_DEPTH:
            raise Rejected(Reason.TOO_DEEP, f"An attribute value nests more than {MAX_DEPTH} levels deep.")
        known = self._fields_of(descriptor)
        out: list[bytes] = []
        copied = at
        while at < end:
            start = at
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            if kind != _LENGTH or number not in known:
                at = self._skip(number, kind, at, end)
                continue
            self._count()
            size, at = self._varint(at, end)
            if size > end - at:
                raise self._malformed(start)
            value = self._value(known[number], at, at + size, depth)
            at += size
            if value is not None:
                out += (self.data[copied:start], _encode(key), _encode(len(value)), value)
                copied = at
        return b"".join([*out, self.data[copied:end]]) if out else None

    def _value(self, descriptor: Any, at: int, end: int, depth: int) -> bytes | None:
        """The repaired bytes of a string or message field, or None where nothing had to change."""
        if descriptor.type == _TYPE_MESSAGE:
            inner = descriptor.message_type
            return self.message(inner, at, end, depth + (inner.full_name in _CONTAINERS))
        text = self.data[at:end]
        try:
            text.decode()
        except UnicodeDecodeError:
            self.repaired += 1
            return text.decode(errors="replace").encode()
        return None

    def _fields_of(self, descriptor: Any) -> dict[int, Any]:
        fields = self._descriptors.get(descriptor.full_name)
        if fields is None:
            fields = {f.number: f for f in descriptor.fields if f.type in (_TYPE_STRING, _TYPE_MESSAGE)}
            self._descriptors[descriptor.full_name] = fields
        return fields

    def _skip(self, number: int, kind: int, at: int, end: int) -> int:
        """The position after a field that is copied as it is."""
        self._count()
        start = at
        if number == 0:
            raise self._malformed(at)
        if kind == _VARINT:
            _, at = self._varint(at, end)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _LENGTH:
            size, at = self._varint(at, end)
            at += size
        elif kind == _START_GROUP:
            at = self._skip_group(number, at, end)
        else:
            raise self._malformed(at)
        if at > end:
            raise self._malformed(start)
        return at

    def _skip_group(self, number: int, at: int, end: int) -> int:
        """The position after an unknown group; groups within it are counted, not recursed into."""
        open_groups = [number]
        while open_groups:
            key, at = self._varint(at, end)
            number, kind = key >> 3, key & 7
            if kind == _START_GROUP:
                open_groups.append(number)
            elif kind == _END_GROUP:
                if open_groups.pop() != number:
                    raise self._malformed(at)
            else:
                at = self._skip(number, kind, at, end)
        return at

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for position in range(_MAX_VARINT):
            if at + position >= end:
                break
            byte = self.data[at + position]
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                return value, at + position + 1
        raise self._malformed(at)

    def _count(self) -> None:
        self.fields += 1
        if self.fields > _MAX_FIELDS:
            raise Rejected(
                Reason.MALFORMED,
                f"The body is not a valid {self.name}: it has text that is not UTF-8 or nests deeply, and is too "
                "large to be repaired.",
            )

    def _malformed(self, at: int) -> Rejected:
        return Rejected(Reason.MALFORMED, f"The body is not an {self.name} in protobuf encoding (at byte {at}).")


def _encode(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
