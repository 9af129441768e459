"""The sealed segments of one spool, oldest first: the next to store, those that are stored, those found on disk."""

import contextlib
import threading
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path

from collector.model.envelope import Envelope
from collector.spool.sealed import ATTEMPTS_SUFFIX, SPLIT_SUFFIX, SUFFIX, Segment, recent
from collector.spool.segment import HEADER


class Catalogue:
    """Which sealed segments wait, and how many `bytes` they are. Any thread may use it."""

    def __init__(self, directory: Path, lock: threading.RLock) -> None:
        """`lock` guards all that counts as held by the spool, here and in its other parts."""
        self._directory = directory
        self._lock = lock
        self._segments: deque[Segment] = deque()
        self.bytes = 0
        self._delete_orphans()

    def __len__(self) -> int:
        return len(self._segments)

    def oldest(self, besides: Collection[str] = ()) -> Segment | None:
        """The segment to drain next, if there is one, other than those whose ids are in `besides`."""
        with self._lock:
            return next((segment for segment in self._segments if segment.id not in besides), None)

    def add(self, segment: Segment) -> None:
        """Append a segment that was sealed just now."""
        with self._lock:
            self._segments.append(segment)
            self.bytes += segment.size

    def commit(self, segment: Segment) -> None:
        """Delete a segment whose rows are stored. Until this returns it is drained again after a crash."""
        with contextlib.suppress(OSError):  # an insert repeated under the same token adds nothing
            segment.delete()
        self._remove(segment)

    def hand_over(self, segment: Segment, directory: Path) -> Path:
        """Move a segment to another spool's directory; where it is now. Raises OSError, and then still has it."""
        moved = segment.path.rename(directory / segment.path.name)
        self._remove(segment)
        return moved

    def _remove(self, segment: Segment) -> None:
        with self._lock:
            self._segments.remove(segment)
            self.bytes -= segment.size

    def reclaim(self, active: str | None) -> bool:
        """Take up segments that lie in the directory, other than the one being written; whether there were any."""
        with self._lock:
            known = {segment.id for segment in self._segments} | {active}
            found = [path for path in self._directory.glob(f"*{SUFFIX}") if path.stem not in known]
            for path in found:
                with contextlib.suppress(OSError):  # it is looked at again
                    self._take_up(path)
            if found:
                self._segments = deque(sorted(self._segments, key=lambda segment: segment.id))
        return bool(found)

    def _take_up(self, path: Path) -> None:
        size = path.stat().st_size
        if size <= len(HEADER):
            path.unlink(missing_ok=True)
        else:
            self.add(Segment(path.stem, path, size))

    def recent(self, since: int) -> Iterator[Envelope]:
        """Envelopes received since `since` (Unix ns) that wait here, oldest first; of many bytes the newest."""
        return recent(self._segments, since)

    def _delete_orphans(self) -> None:
        """Delete what a crash has left of segments that are stored."""
        for suffix in (SPLIT_SUFFIX, ATTEMPTS_SUFFIX):
            for path in self._directory.glob(f"*{suffix}"):
                if not path.with_suffix(SUFFIX).exists():
                    with contextlib.suppress(OSError):
                        path.unlink()
