"""The segment file format. Pure over bytes: nothing here opens a file.

    segment  = "SPANSEG1" frame*
    frame    = "SPFR" length:u32 crc32c(length, record):u32 record[length]
    record   = project_length:u16 spans:u32 received_at:i64 digest:16 bytes  project:utf-8  payload

Integers are little-endian. The frame mark lets a reader find the next whole frame after damaged bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from collector.model.envelope import Envelope

HEADER = b"SPANSEG1"
_MARK = b"SPFR"
_FRAME = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<HIq16s")


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole frame. `torn` ones were being written when the process died."""

    offset: int
    data: bytes
    torn: bool


def encode_frame(envelope: Envelope) -> bytes:
    """The frame of one envelope, ready to append to a segment."""
    project = envelope.project.encode()
    record = b"".join(
        (
            _RECORD.pack(len(project), envelope.spans, envelope.received_at, envelope.digest),
            project,
            envelope.payload,
        )
    )
    return _FRAME.pack(_MARK, len(record), _checksum(record)) + record


def read_segment(data: bytes) -> Iterator[Envelope | Damage]:
    """Every whole frame of a segment in order, and what lies between them.

    A prefix of a segment yields a prefix of its envelopes; a changed byte costs the frame it is in and no other.
    """
    offset = len(HEADER) if data.startswith(HEADER) else 0
    while offset < len(data):
        found = _frame_at(data, offset)
        if found is None:
            resume = _next_frame(data, offset + 1)
            yield Damage(offset, data[offset:resume], torn=resume == len(data) and _looks_torn(data, offset))
            offset = resume
        else:
            envelope, offset = found
            yield envelope


def _checksum(record: bytes) -> int:
    return int(google_crc32c.extend(google_crc32c.value(_LENGTH.pack(len(record))), record))


def _frame_at(data: bytes, offset: int) -> tuple[Envelope, int] | None:
    if offset + _FRAME.size > len(data):
        return None
    mark, length, checksum = _FRAME.unpack_from(data, offset)
    begin = offset + _FRAME.size
    record = data[begin : begin + length]
    if mark != _MARK or len(record) < max(length, _RECORD.size) or _checksum(record) != checksum:
        return None
    return _envelope(record), begin + length


def _envelope(record: bytes) -> Envelope:
    project_length, spans, received_at, digest = _RECORD.unpack_from(record)
    end = _RECORD.size + project_length
    return Envelope(record[_RECORD.size : end].decode(), received_at, spans, record[end:], digest)


def _next_frame(data: bytes, offset: int) -> int:
    """Where the next whole frame begins, or the end of the data."""
    while (offset := data.find(_MARK, offset)) != -1:
        if _frame_at(data, offset):
            return offset
        offset += 1
    return len(data)


def _looks_torn(data: bytes, offset: int) -> bool:
    """Whether the rest is an unfinished write: a frame cut short, or blocks never written (zeros).

    A frame of full length with a wrong checksum is damage: its write may have been answered.
    """
    rest = data[offset:]
    if not rest.strip(b"\0"):
        return True
    if len(rest) < _FRAME.size:
        return rest.startswith(_MARK[: len(rest)])
    mark, length, _ = _FRAME.unpack_from(rest)
    return bool(mark == _MARK) and _FRAME.size + length > len(rest)
