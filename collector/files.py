"""The few file operations the spool's promises rest on."""

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from collector.errors import StartError

# As many as the kernel takes in one call.
_MAX_BUFFERS = os.sysconf("SC_IOV_MAX")


def sync_directory(directory: Path) -> None:
    """Make created, renamed and deleted names in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes) -> None:
    """Create or replace `path` with `data`: after a crash it holds all of it or what it held before."""
    temporary = path.with_suffix(path.suffix + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_all(fd: int, parts: Sequence[bytes]) -> None:
    """Append every byte of `parts` in order. Raises OSError, possibly after some of them."""
    for begin in range(0, len(parts), _MAX_BUFFERS):
        buffers: list[bytes | memoryview] = list(parts[begin : begin + _MAX_BUFFERS])
        while buffers:
            written = os.writev(fd, buffers)
            whole = 0
            while whole < len(buffers) and written >= len(buffers[whole]):
                written -= len(buffers[whole])
                whole += 1
            del buffers[:whole]
            if written:
                buffers[0] = memoryview(buffers[0])[written:]


def lock_directory(directory: Path) -> int:
    """Hold `directory` for this process until the returned descriptor is closed.

    Raises StartError when it cannot be created or written, or another process holds it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"Cannot use {directory} for the spool: {error.strerror}. Choose another data_dir.") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise StartError(
            f"{directory} is in use by another spanmeter (process {holder}). "
            "Stop it, or give this one its own data_dir."
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
