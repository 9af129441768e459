"""A disk that fails when told to."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest


class Disk:
    """Stands between the spool and the kernel: real calls until one is told to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failing: int | None = None
        self.room = 0
        self.syncs_fail: int | None = None
        self.frozen = False
        self._write, self._writev, self._fdatasync = os.write, os.writev, os.fdatasync
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "writev", self.writev)
        monkeypatch.setattr(os, "fdatasync", self.fdatasync)
        for name in ("ftruncate", "fsync", "unlink"):
            monkeypatch.setattr(os, name, self._unless_frozen(getattr(os, name)))

    def write(self, fd: int, data: Any) -> int:
        if self.failing is None:
            return self._write(fd, data)
        if not self.room:
            raise OSError(self.failing, os.strerror(self.failing))
        written = self._write(fd, bytes(data)[: self.room])
        self.room -= written
        return written

    def writev(self, fd: int, buffers: Any) -> int:
        return self._writev(fd, buffers) if self.failing is None else self.write(fd, b"".join(buffers))

    def fdatasync(self, fd: int) -> None:
        if self.syncs_fail is not None:
            raise OSError(self.syncs_fail, os.strerror(self.syncs_fail))
        self._fdatasync(fd)

    def _unless_frozen(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self.frozen:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            return call(*arguments, **options)

        return guarded

    def fail_writes(self, number: int, *, after: int = 0) -> None:
        self.failing, self.room = number, after

    def mend(self) -> None:
        self.failing = self.syncs_fail = None
        self.frozen = False
