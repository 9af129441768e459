"""Digests of every file of a backup, as `sha256sum -c SHA256SUMS` reads them: what changed since is not restored."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from collector.errors import StartError
from collector.files import write_durably

_FILE: Final = "SHA256SUMS"
_USE_ANOTHER: Final = "The backup is damaged: use another one, or a copy of this."


def write_digests(backup: Path) -> str:
    """Write those of the files that are there, durably; the digest of that list. Raises OSError, StartError."""
    text = "".join(f"{_digest(backup / name)}  {name}\n" for name in sorted(_files(backup))).encode()
    write_durably(backup / _FILE, text)
    return hashlib.sha256(text).hexdigest()


def check_digests(backup: Path, digest: str, written_since: str, *, names_only: bool = False) -> None:
    """Raises StartError unless the files are those that were written, and `written_since`, which is not looked at.

    Without a digest, for a backup of an earlier version, any files are right. With `names_only` it is enough that the
    files are there, whatever is in them, which takes no time.
    """
    try:
        there = set(_files(backup)) - {_FILE, written_since}
        if not digest:
            return
        text = (backup / _FILE).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise StartError(f"{backup / _FILE} is not as it was written. {_USE_ANOTHER}")
        for line in text.decode().splitlines():
            expected, _, name = line.partition("  ")
            if name not in there:
                raise StartError(f"{backup} has lost its file {name}. {_USE_ANOTHER}")
            there.remove(name)
            if not names_only and _digest(backup / name) != expected:
                raise StartError(f"{backup / name} is not as it was written. {_USE_ANOTHER}")
    except FileNotFoundError as error:
        raise StartError(f"{backup} has lost its file {Path(error.filename).name}. {_USE_ANOTHER}") from error
    except OSError as error:
        raise StartError(f"Cannot read the backup {backup}: {error}.") from error
    if there:
        raise StartError(f"{backup / min(there)} is not of the backup: move it away.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(backup: Path) -> Iterator[str]:
    """The paths of the files, of which none may be a link: what it leads to is not of the backup."""
    for folder, folders, names in os.walk(backup):
        for name in (*folders, *names):
            path = Path(folder) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise StartError(f"{path} is neither a file nor a directory: a backup holds nothing else.")
        yield from ((Path(folder) / name).relative_to(backup).as_posix() for name in names)
