"""A spool that several processes fill: who writes where, and how segments change hands.

    DIR/            the segments to drain; belongs to the process that drains
    DIR/worker-N/   what receiver process N is writing

A segment changes hands by a rename, so that at each moment it lies in exactly one folder, under the one id it has for
ever. Neither folder is synced for that: after a power cut it lies in the one or the other, and all are looked at when
the daemon starts. Should it come back after its rows were stored, it is inserted under the same token and adds nothing.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from collector.errors import StartError
from collector.files import lock_directory
from collector.model.clock import Clock

_SEGMENTS = "*.seg"
_SHARES = "worker-*"
_LOOK_SECONDS = 0.1
_POLL_SECONDS = 0.05


def share(directory: Path, number: int) -> Path:
    """The folder of receiver process `number`."""
    return directory / f"worker-{number}"


def shares_in(directory: Path) -> list[Path]:
    """The folders of receiver processes, however many there were."""
    return sorted(directory.glob(_SHARES))


def collect(folder: Path, directory: Path) -> None:
    """Move what a process that has ended left in its folder to the segments to drain.

    Raises StartError while the process still runs, OSError when the disk does not take it.
    """
    held = lock_directory(folder)
    try:
        for path in sorted(folder.glob(_SEGMENTS)):
            path.rename(directory / path.name)
    finally:
        os.close(held)


def collect_all(directory: Path, patience: float) -> None:
    """`collect` from every folder. Raises StartError.

    Processes whose parent has died end by themselves; they have `patience` seconds for that.
    """
    deadline = time.monotonic() + patience
    for folder in shares_in(directory):
        while True:
            try:
                collect(folder, directory)
                break
            except OSError as error:
                raise StartError(f"Cannot take up the segments in {folder}: {error.strerror}.") from None
            except StartError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL_SECONDS)


class Elsewhere:
    """The bytes of all segments that are not in one's own folder, as they were at most a tenth of a second ago."""

    def __init__(self, directory: Path, own: Path, clock: Clock) -> None:
        self._directory = directory
        self._own = own
        self._clock = clock
        self._bytes = 0
        self._looked = float("-inf")

    def bytes(self) -> int:
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            folders = [self._directory, *shares_in(self._directory)]
            self._bytes = sum(size for folder in folders if folder != self._own for size in _sizes(folder))
        return self._bytes

    def gave(self, size: int) -> None:
        """Count `size` bytes that were handed over since the last look."""
        self._bytes += size


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.glob(_SEGMENTS):
        with contextlib.suppress(FileNotFoundError):  # stored meanwhile
            yield path.stat().st_size
