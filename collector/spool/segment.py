"""The segment file format. Pure over bytes: nothing here opens a file.

    segment  = "SPANSEG1" frame*
    frame    = "SPFR" length:u32 crc32c(segment id, length, record):u32 record[length]
    record   = project_length:u16 spans:u32 received_at:i64 digest:16 bytes  project:utf-8  payload

Integers are little-endian. The frame mark lets a reader find the next whole frame after damaged bytes. The segment's id
in the checksum, which no client knows, keeps it from taking a frame that someone sent inside a payload for a real one.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

from collector.model.envelope import Envelope

HEADER = b"SPANSEG1"
_MARK = b"SPFR"
_FRAME = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<HIq16s")
FRAME_SIZE = _FRAME.size


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole frame. `torn` ones were being written when the process died."""

    offset: int
    data: bytes
    torn: bool


def record_head(envelope: Envelope) -> bytes:
    """The bytes of a record before its payload."""
    project = envelope.project.encode()
    return _RECORD.pack(len(project), envelope.spans, envelope.received_at, envelope.digest) + project


def checksum_seed(segment_id: str) -> int:
    """What every checksum in the segment of that id begins with."""
    return int(google_crc32c.value(segment_id.encode()))


def frame_parts(head: bytes, payload: bytes, seed: int) -> tuple[bytes, bytes]:
    """A frame as it is appended to the segment whose checksums begin with `seed`; the payload is not copied."""
    length = len(head) + len(payload)
    checksum = google_crc32c.extend(google_crc32c.extend(seed, _LENGTH.pack(length) + head), payload)
    return _FRAME.pack(_MARK, length, checksum) + head, payload


def encode_frame(envelope: Envelope, segment_id: str) -> bytes:
    """An envelope as it is appended to the segment of that id."""
    return b"".join(frame_parts(record_head(envelope), envelope.payload, checksum_seed(segment_id)))


def read_frames(file: BinaryIO, size: int, segment_id: str) -> Iterator[Envelope | Damage]:
    """What `read_segment` gives of the first `size` bytes of a file, which is read one frame at a time."""
    seed = checksum_seed(segment_id)
    offset = len(HEADER)
    whole = file.read(offset) == HEADER
    while whole and offset < size:
        found = _read_frame(file, size - offset, seed)
        whole = found is not None
        if found:
            envelope, length = found
            yield envelope
            offset += length
    if offset < size:
        start = offset if offset > len(HEADER) else 0
        file.seek(start)
        yield from read_segment(file.read(size - start), segment_id, start)


def _read_frame(file: BinaryIO, max_length: int, seed: int) -> tuple[Envelope, int] | None:
    """The next whole frame of at most `max_length` bytes, and its length. The payload is read to where it stays."""
    start = file.read(_FRAME.size + _RECORD.size)
    if len(start) < _FRAME.size + _RECORD.size:
        return None
    mark, length, checksum = _FRAME.unpack_from(start)
    project_length, spans, received_at, digest = _RECORD.unpack_from(start, _FRAME.size)
    rest = length - _RECORD.size - project_length
    if mark != _MARK or rest < 0 or _FRAME.size + length > max_length:
        return None
    project, payload = file.read(project_length), file.read(rest)
    head = start[_FRAME.size :] + project
    if google_crc32c.extend(google_crc32c.extend(seed, _LENGTH.pack(length) + head), payload) != checksum:
        return None
    return Envelope(project.decode(), received_at, spans, payload, digest), _FRAME.size + length


def read_segment(data: bytes, segment_id: str, start: int = 0) -> Iterator[Envelope | Damage]:
    """Every whole frame of a segment in order, and what lies between them; `data` is the segment from `start` on.

    A prefix of a segment yields a prefix of its envelopes; a changed byte costs the frame it is in and no other.
    """
    offset = len(HEADER) if not start and data.startswith(HEADER) else 0
    while offset < len(data):
        found = _frame_at(data, offset, segment_id)
        if found is None:
            resume = _next_frame(data, offset + 1, segment_id)
            torn = resume == len(data) and _looks_torn(data, offset, segment_id, first=start + offset == 0)
            yield Damage(start + offset, data[offset:resume], torn)
            offset = resume
        else:
            envelope, offset = found
            yield envelope


def _checksum(record: bytes, segment_id: str) -> int:
    return int(google_crc32c.extend(google_crc32c.value(segment_id.encode() + _LENGTH.pack(len(record))), record))


def _frame_at(data: bytes, offset: int, segment_id: str) -> tuple[Envelope, int] | None:
    if offset + _FRAME.size > len(data):
        return None
    mark, length, checksum = _FRAME.unpack_from(data, offset)
    begin = offset + _FRAME.size
    record = data[begin : begin + length]
    if mark != _MARK or len(record) < max(length, _RECORD.size) or _checksum(record, segment_id) != checksum:
        return None
    return _envelope(record), begin + length


def _envelope(record: bytes) -> Envelope:
    project_length, spans, received_at, digest = _RECORD.unpack_from(record)
    end = _RECORD.size + project_length
    return Envelope(record[_RECORD.size : end].decode(), received_at, spans, record[end:], digest)


def _next_frame(data: bytes, offset: int, segment_id: str) -> int:
    """Where the next whole frame begins, or the end of the data."""
    while (offset := data.find(_MARK, offset)) != -1:
        if _frame_at(data, offset, segment_id):
            return offset
        offset += 1
    return len(data)


def _looks_torn(data: bytes, offset: int, segment_id: str, *, first: bool) -> bool:
    """Whether the rest is an unfinished write: a header or frame cut short, or blocks never written (zeros).

    A frame that is all there is damage, be it its checksum or its length that is wrong: its write may have been
    answered.
    """
    rest = data[offset:]
    if not rest.strip(b"\0") or (first and HEADER.startswith(rest)):
        return True
    if len(rest) < _FRAME.size:
        return rest.startswith(_MARK[: len(rest)])
    mark, length, checksum = _FRAME.unpack_from(rest)
    record = rest[_FRAME.size :]
    return bool(mark == _MARK) and length > len(record) and _checksum(record, segment_id) != checksum
