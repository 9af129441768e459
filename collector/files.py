"""The few file operations the spool's promises rest on."""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from collector.errors import StartError

# Of the data directory.
PORTS_FILE = "ports.json"

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


# What others may do with a file, its group among them.
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OF_FILE_SYSTEM = "lost+found"


def make_private(directory: Path, own_names: Collection[str]) -> list[Path]:
    """Create `directory` for its owner only, or close it and what is in it to others. The paths that were open to them.

    A directory that holds other directories than those whose names begin with one of `own_names` is someone's home, or
    the system's: in it only what is ours is closed. Raises OSError, also when the directory is not ours to change.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.scandir(directory) as entries:
        found = list(entries)
    own = [entry for entry in found if entry.name.startswith(tuple(own_names))]
    foreign = [entry for entry in found if entry not in own and entry.name != _OF_FILE_SYSTEM]
    if any(entry.is_dir(follow_symlinks=False) for entry in foreign):
        return _closed(path for entry in own for path in _below(Path(entry.path)))
    # Nobody else gets to what is in a closed directory, and it was closed before anything came into it.
    return _closed(_below(directory)) if directory.stat().st_mode & _OTHERS else []


def _below(path: Path) -> Iterator[Path]:
    """A path and all below it but for links."""
    yield path
    if path.is_dir() and not path.is_symlink():
        for entry in path.iterdir():
            yield from _below(entry)


def _closed(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that were open to others, and are no more."""
    changed = []
    for path in paths:
        mode = path.lstat().st_mode
        if mode & _OTHERS and not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
            changed.append(path)
    return changed


class DirectoryInUse(StartError):  # noqa: N818 - a fact about another process, not a malfunction
    """Another process holds the directory."""


# The file that says which process has a directory.
LOCK = "lock"


def lock_directory(directory: Path) -> int:
    """Hold `directory` for this process until the returned descriptor is closed.

    Raises StartError when it cannot be created or written, DirectoryInUse when another process holds it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"Cannot use {directory} for the spool: {error.strerror}. Choose another data_dir.") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise DirectoryInUse(
            f"{directory} is in use by another spanmeter (process {holder}). "
            "Stop it, or give this one its own data_dir."
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def read_ports(directory: Path) -> dict[str, int]:
    """The ports that a running daemon on this data directory took, by `grpc`, `http`, `web`, `query`."""
    ports: dict[str, int] = json.loads((directory / PORTS_FILE).read_text())
    return ports
