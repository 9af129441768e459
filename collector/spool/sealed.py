"""Sealed segments as files: read, split, deleted, and put into a spool from outside."""

import contextlib
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.files import write_durably
from collector.model.clock import Clock
from collector.model.envelope import Envelope
from collector.spool.segment import HEADER, Damage, encode_frame, read_frames

SUFFIX = ".seg"
SPLIT_SUFFIX = ".halved"
ATTEMPTS_SUFFIX = ".attempts"
# Of the files that a segment may have.
SEGMENT_SUFFIXES = frozenset({SUFFIX, SPLIT_SUFFIX, ATTEMPTS_SUFFIX})
_RECENT_BYTES = 256 * 1024 * 1024
_ATTEMPT = re.compile(r"([+-])([0-9]{1,19}):([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class Segment:
    """A sealed segment of `size` bytes on disk."""

    id: str
    path: Path
    size: int

    def read(self) -> Iterator[Envelope | Damage]:
        """Its envelopes and damaged ranges, in order."""
        with self.path.open("rb") as file:  # beyond `size` may lie what was refused and could not be cut off
            yield from read_frames(file, self.size, self.id)

    @property
    def _splits(self) -> Path:
        return self.path.with_suffix(SPLIT_SUFFIX)

    def split_inserts(self) -> set[str]:
        """The tokens of its inserts that are made in halves. A damaged one is no token that is ever asked for."""
        try:
            return set(self._splits.read_text(errors="replace").split())
        except OSError:
            return set()

    def note_split(self, token: str) -> None:
        """Remember, also when this process has ended, that an insert is made in halves. Raises OSError."""
        with self._splits.open("a") as file:
            file.write(f"{token}\n")

    @property
    def _attempts(self) -> Path:
        return self.path.with_suffix(ATTEMPTS_SUFFIX)

    def attempts(self) -> Counter[range]:
        """How often storing each range of its envelopes was begun and never ended. Damaged lines count nothing."""
        try:
            lines = self._attempts.read_text(errors="replace").splitlines()
        except OSError:
            return Counter()
        attempts = Counter[range]()
        for begun, begin, end in (found.groups() for found in map(_ATTEMPT.fullmatch, lines) if found):
            attempts[range(int(begin), int(end))] += 1 if begun == "+" else -1
        return attempts

    def note_attempt(self, part: range, *, begun: bool) -> None:
        """Remember, also when this process has ended, that storing a range of envelopes begins or has ended.

        Raises OSError.
        """
        with self._attempts.open("a") as file:
            file.write(f"{'+' if begun else '-'}{part.start}:{part.stop}\n")

    def delete(self) -> None:
        """Remove it from the disk. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._splits.unlink(missing_ok=True)
        self._attempts.unlink(missing_ok=True)


def segment_path(directory: Path, segment_id: str) -> Path:
    """The file of the segment of that id."""
    return directory / f"{segment_id}{SUFFIX}"


def new_segment_id(now: int) -> str:
    """Creation time (Unix ns) and 32 random bits: sorts by age, and no spool ever makes the same id again."""
    return f"{now:016x}{secrets.token_hex(4)}"


def created_at(segment_id: str) -> int:
    """When the segment of that id was begun, Unix ns; 0 for an id that no spool has made."""
    try:
        return int(segment_id[:16], 16)
    except ValueError:
        return 0


def segments_in(directory: Path) -> list[Segment]:
    """The segments that lie in a directory now, oldest first."""
    found = []
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        with contextlib.suppress(FileNotFoundError):  # stored meanwhile
            found.append(Segment(path.stem, path, path.stat().st_size))
    return found


def recent(segments: Sequence[Segment], since: int) -> Iterator[Envelope]:
    """Envelopes of `segments` (oldest first) received since `since` (Unix ns), oldest first.

    Of many bytes only the newest 256 MiB are read.
    """
    remaining, chosen = _RECENT_BYTES, list[Segment]()
    for segment in reversed(segments):
        remaining -= segment.size
        if remaining < 0:
            break
        chosen.append(segment)
    for segment in reversed(chosen):
        with contextlib.suppress(OSError):  # the drain reports what is wrong with it
            yield from (e for e in segment.read() if isinstance(e, Envelope) and e.received_at >= since)


def put_segment(directory: Path, envelopes: list[Envelope], clock: Clock) -> Path:
    """Add a sealed segment to a spool directory from outside, durably; a running daemon takes it up."""
    segment_id = new_segment_id(clock.time_ns())
    path = segment_path(directory, segment_id)
    frames = (encode_frame(envelope, segment_id) for envelope in envelopes)
    write_durably(path, HEADER + b"".join(frames))
    return path
