"""Whether there is room for more: within `spool.max_bytes`, and on the disk."""

import os
from collections.abc import Callable
from pathlib import Path

from collector.config import SpoolConfig
from collector.errors import Reason, Unavailable
from collector.model.clock import Clock

_DISK_CHECK_SECONDS = 0.5


class Capacity:
    """Refuses records that do not fit."""

    def __init__(self, directory: Path, config: SpoolConfig, clock: Clock, elsewhere: Callable[[], int]) -> None:
        """`elsewhere` is how many bytes other spools hold of those that `config` allows to all together."""
        self._directory = directory
        self._max_bytes = config.max_bytes
        self._min_free_bytes = config.min_free_bytes
        self._clock = clock
        self._elsewhere = elsewhere
        self._free = 0
        self._free_checked = float("-inf")

    def admit(self, size: int, held: int) -> None:
        """Raise Unavailable when `size` bytes do not fit beside the `held` ones of this spool."""
        held += self._elsewhere()
        if held + size > self._max_bytes:
            raise Unavailable(
                Reason.SPOOL_FULL, f"The spool is full ({held} bytes wait for the store); send again later.", 10.0
            )
        if self._disk_free() - size < self._min_free_bytes:
            raise Unavailable(Reason.DISK, "The server's disk is nearly full; send again later.", 10.0)

    def expire(self) -> None:
        """Ask the disk again at the next occasion: a write has failed."""
        self._free_checked = float("-inf")

    def _disk_free(self) -> int:
        now = self._clock.monotonic()
        if now - self._free_checked >= _DISK_CHECK_SECONDS:
            try:
                disk = os.statvfs(self._directory)
            except OSError as error:
                raise Unavailable(Reason.DISK, f"The server's disk does not answer: {error.strerror}.", 5.0) from error
            self._free = disk.f_bavail * disk.f_frsize
            self._free_checked = now
        return self._free
