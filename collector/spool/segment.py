"""The segment file format. Pure over bytes: nothing here opens a file.

    segment  = "SPANSEG1" frame*
    frame    = mark length:u32 checksum:u32 record[length]
    mark     = "SPFR" traces | "SPFL" logs | "SPFM" metrics
    record   = project_length:u16 items:u32 received_at:i64 digest:16 bytes  project:utf-8  payload
    checksum = crc32c(segment id, mark unless it is "SPFR", length, record)

Integers are little-endian. The mark names the signal of the payload, and lets a reader find the next whole frame after
damaged bytes. A mark that this version does not know is damage to it: the frame is set aside with its bytes, never read
as another signal. The segment's id in the checksum, which no client knows, keeps a reader from taking a frame that
someone sent inside a payload for a real one.
"""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

import google_crc32c

from collector.model.envelope import Envelope, Signal

HEADER: Final = b"SPANSEG1"
# Segments written before frames had a signal hold traces: theirs is the mark of old, outside the checksum.
_TRACES: Final = b"SPFR"
_MARKS: Final = {Signal.TRACES: _TRACES, Signal.LOGS: b"SPFL", Signal.METRICS: b"SPFM"}
_SIGNALS: Final = {mark: signal for signal, mark in _MARKS.items()}
_MARK_PREFIX: Final = b"SPF"
_FRAME = struct.Struct("<4sII")
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<HIq16s")

# What the checksums of one segment begin with, by mark.
Seeds = Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are no whole frame. `torn` ones were being written when the process died."""

    offset: int
    data: bytes
    torn: bool


class Record(NamedTuple):
    """An envelope ready to be framed: its mark, and the record in two parts, so that the payload is never copied.

    `size` is that of the frame.
    """

    mark: bytes
    head: bytes
    payload: bytes
    size: int

    def frame(self, seeds: Seeds) -> tuple[bytes, bytes]:
        """The bytes to append to the segment of these seeds, in two parts."""
        mark, head, payload, size = self
        checksum = _checksum(seeds[mark], head, payload)
        return _FRAME.pack(mark, size - _FRAME.size, checksum) + head, payload


def record(envelope: Envelope) -> Record:
    """The record of an envelope."""
    project = envelope.project.encode()
    head = _RECORD.pack(len(project), envelope.items, envelope.received_at, envelope.digest) + project
    payload = envelope.payload
    return Record(_MARKS[envelope.signal], head, payload, _FRAME.size + len(head) + len(payload))


def checksum_seeds(segment_id: str) -> Seeds:
    """The seeds of the segment of that id."""
    named = segment_id.encode()
    return {mark: int(google_crc32c.value(named if mark == _TRACES else named + mark)) for mark in _SIGNALS}


def encode_frame(envelope: Envelope, segment_id: str) -> bytes:
    """An envelope as it is appended to the segment of that id."""
    return b"".join(record(envelope).frame(checksum_seeds(segment_id)))


def read_frames(file: BinaryIO, size: int, segment_id: str) -> Iterator[Envelope | Damage]:
    """Every whole frame in the first `size` bytes of a segment in order, and what lies between them.

    A prefix of a segment yields a prefix of its envelopes; a changed byte costs the frame it is in and no other. One
    frame is in memory at a time, from the first damage on the rest of the file.
    """
    seeds = checksum_seeds(segment_id)
    offset = len(HEADER) if file.read(len(HEADER)) == HEADER else 0
    while 0 < offset < size and (found := _read_frame(file, size - offset, seeds)):
        envelope, length = found
        yield envelope
        offset += length
    if offset < size:
        file.seek(offset)
        yield from _salvage(file.read(size - offset), offset, seeds)


def _read_frame(file: BinaryIO, max_length: int, seeds: Seeds) -> tuple[Envelope, int] | None:
    """The whole frame that begins here, of at most `max_length` bytes, and its length."""
    start = file.read(_FRAME.size + _RECORD.size)
    if len(start) < _FRAME.size + _RECORD.size:
        return None
    mark, length, checksum = _FRAME.unpack_from(start)
    project_length, items, received_at, digest = _RECORD.unpack_from(start, _FRAME.size)
    rest = length - _RECORD.size - project_length
    if mark not in _SIGNALS or rest < 0 or _FRAME.size + length > max_length:
        return None
    project, payload = file.read(project_length), file.read(rest)
    if _checksum(seeds[mark], start[_FRAME.size :] + project, payload) != checksum:
        return None
    return Envelope(project.decode(), received_at, items, payload, digest, _SIGNALS[mark]), _FRAME.size + length


def _checksum(seed: int, head: bytes, payload: bytes) -> int:
    length = _LENGTH.pack(len(head) + len(payload))
    return int(google_crc32c.extend(google_crc32c.extend(seed, length + head), payload))


def _salvage(data: bytes, start: int, seeds: Seeds) -> Iterator[Envelope | Damage]:
    """The rest of a segment from `start` on, where something is damaged."""
    file, offset = io.BytesIO(data), 0
    while offset < len(data):
        file.seek(offset)
        if found := _read_frame(file, len(data) - offset, seeds):
            envelope, length = found
            yield envelope
            offset += length
        else:
            resume = _next_frame(file, data, offset + 1, seeds)
            torn = resume == len(data) and _looks_torn(data[offset:], seeds, first=start + offset == 0)
            yield Damage(start + offset, data[offset:resume], torn)
            offset = resume


def _next_frame(file: BinaryIO, data: bytes, offset: int, seeds: Seeds) -> int:
    """Where the next whole frame begins, or the end of the data."""
    while (offset := data.find(_MARK_PREFIX, offset)) != -1:
        file.seek(offset)
        if _read_frame(file, len(data) - offset, seeds):
            return offset
        offset += 1
    return len(data)


def _looks_torn(rest: bytes, seeds: Seeds, *, first: bool) -> bool:
    """Whether the rest is an unfinished write: a header or frame cut short, or blocks never written (zeros).

    A frame that is all there is damage, be it its checksum or its length that is wrong: its write may have been
    answered.
    """
    if not rest.strip(b"\0") or (first and HEADER.startswith(rest)):
        return True
    if len(rest) < _FRAME.size:
        return any(rest.startswith(mark[: len(rest)]) for mark in _SIGNALS)
    mark, length, checksum = _FRAME.unpack_from(rest)
    part = rest[_FRAME.size :]
    return mark in _SIGNALS and length > len(part) and _checksum(seeds[mark], part, b"") != checksum
