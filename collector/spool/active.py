"""The segment that is being written."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from collector.files import sync_directory, write_all
from collector.spool.pending import Pending
from collector.spool.sealed import segment_path
from collector.spool.segment import HEADER, checksum_seeds


class ActiveSegment:
    """A new segment file, whose name is durable once this has been made. Raises OSError, and then there is no file.

    `size` is what was written and acknowledged, `items` and `expanded` what it holds, `opened` the monotonic time it
    was made at. `synced` says whether all that was written has been synced.
    """

    __slots__ = ("_fd", "_seeds", "expanded", "id", "items", "opened", "path", "size", "synced")

    def __init__(self, directory: Path, segment_id: str, opened: float) -> None:
        self.id = segment_id
        self.path = segment_path(directory, segment_id)
        self.opened = opened
        self.size = len(HEADER)
        self.items = self.expanded = 0
        self.synced = True
        self._seeds = checksum_seeds(segment_id)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            write_all(self._fd, [HEADER])
            sync_directory(directory)
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    @property
    def empty(self) -> bool:
        return self.size <= len(HEADER)

    def write(self, chunk: Sequence[Pending]) -> None:
        """Append the frames of a chunk. Raises OSError, possibly after some of them."""
        write_all(self._fd, [part for pending in chunk for part in pending.record.frame(self._seeds)])
        self.synced = False

    def sync(self) -> None:
        """Make all that was written durable. Raises OSError."""
        os.fdatasync(self._fd)
        self.synced = True

    def grow(self, size: int, items: int, expanded: int) -> None:
        """Count a chunk that was written as part of the segment."""
        self.size += size
        self.items += items
        self.expanded += expanded

    def cut_off(self) -> None:
        """Remove what was written beyond `size`, if the disk takes that."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.size)
            os.fsync(self._fd)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what counts has been synced
            os.close(self._fd)

    def delete(self) -> None:
        """Remove a file without frames; one that cannot be removed is at the next start."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
