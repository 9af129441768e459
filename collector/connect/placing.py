"""Settings files changed in place, with a copy of what stood there, and restored to the byte.

Copies are kept in a directory of the user's own state, one below it for each time settings were put in place.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from pydantic import BaseModel, TypeAdapter, ValidationError

from collector.connect.editing import edited, read
from collector.connect.trees import Path as SettingPath
from collector.connect.trees import Tree
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.files import write_durably

_MAX_BYTES: Final = 16 * 2**20
_RECORD: Final = "record.json"
_COPY: Final = "copy"


class Placed(BaseModel):
    """One file that was changed. `sha256` is that of what was written; `mode` that of before, if there was one."""

    path: Path
    sha256: str
    mode: int | None
    insertion: str = ""  # the only change, which can be taken out even after others were made


_RECORDS: Final = TypeAdapter(list[Placed])


def settings_in(path: Path, kind: str) -> Tree:
    """What a file holds; nothing where there is none, or none that can be read."""
    try:
        return read((_read(path) or b"").decode(), kind)
    except (SpanmeterError, UnicodeDecodeError):
        return {}


class Copies:
    """The copies of one program's files, the latest of which is restored first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def place(
        self, path: Path, kind: str, wanted: Tree, replaces: Collection[str] = (), *, private: bool
    ) -> list[SettingPath]:
        """Put settings into a file, made where there is none; which of them were not there yet.

        With none to change nothing is touched. With `private` the file is its owner's alone from then on: one that is
        new always is. Raises Rejected when the file is not in its format, Unavailable when the disk refuses it.
        """
        before = _read(path)
        try:
            after, changed = edited((before or b"").decode(), kind, wanted, replaces)
        except UnicodeDecodeError:
            raise Rejected(Reason.MALFORMED, f"{path} was left as it is: it is not UTF-8.") from None
        except Rejected as error:
            raise Rejected(error.reason, f"{path} was left as it is: {error}. Change it by hand.") from None
        if changed:
            self.replace(path, before, after.encode(), private=private)
        return changed

    def replace(
        self, path: Path, before: bytes | None, after: bytes, insertion: str = "", *, private: bool = False
    ) -> None:
        """Write a file whose content is `before`, keeping a copy; `private` as in `place`. Raises Unavailable."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = path.resolve()  # of a link the file it leads to
            mode = None if before is None else stat.S_IMODE(path.stat().st_mode)
            self._keep(Placed(path=path, sha256=_digest(after), mode=mode, insertion=insertion), before)
            _write(path, after, 0o600 if private or mode is None else mode)
        except OSError as error:
            raise Unavailable(Reason.DISK, f"{path} was left as it is: {error.strerror}.") from None

    def _keep(self, placed: Placed, before: bytes | None) -> None:
        """Remember what stood there, unless that is what was put there before: then the older copy counts."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in self._kept():
            kept = _record(directory)
            if (
                before is not None
                and not placed.insertion
                and kept.path == placed.path
                and kept.sha256 == _digest(before)
            ):
                _save(directory, placed.model_copy(update={"mode": kept.mode}))
                return
        number = max((int(directory.name) for directory in self._kept()), default=0) + 1
        directory = self._directory / str(number)
        directory.mkdir(mode=0o700)
        if before is not None:
            _write(directory / _COPY, before, 0o600)
        _save(directory, placed)

    def _kept(self) -> list[Path]:
        """The latest first."""
        found = self._directory.iterdir() if self._directory.is_dir() else ()
        whole = [each for each in found if each.name.isdigit() and (each / _RECORD).exists()]
        return sorted(whole, key=lambda directory: int(directory.name), reverse=True)

    def places(self) -> list[Path]:
        """The files with settings that were put in place and not taken back."""
        return [placed.path for placed in map(_record, self._kept()) if not placed.insertion]

    def restore(self, path: Path) -> tuple[list[Placed], list[str]]:
        """Put back what stood in a file, and what was inserted elsewhere for it.

        What was undone, and a sentence for each file that could not be restored. One that has changed since is left
        alone, and so is the copy. Raises Unavailable for a disk that fails.
        """
        restored, sentences = [], []
        for directory in self._kept_for(path.resolve()):
            placed = _record(directory)
            try:
                if sentence := _restore(placed, directory / _COPY):
                    sentences.append(sentence)
                    continue
                shutil.rmtree(directory)
            except OSError as error:
                raise Unavailable(Reason.DISK, f"{placed.path} could not be restored: {error.strerror}.") from None
            restored.append(placed)
        return restored, sentences

    def _kept_for(self, path: Path) -> list[Path]:
        """The copies of one file, and of what was inserted elsewhere just before."""
        found, wanted = [], True
        for directory in self._kept():
            placed = _record(directory)
            wanted = wanted if placed.insertion else placed.path == path
            found += [directory] if wanted else []
        return found


def _restore(placed: Placed, copy: Path) -> str:
    """Put one file back; empty, or why it was left alone."""
    now = _read(placed.path)
    before = copy.read_bytes() if copy.exists() else None
    if now == before:
        return ""  # it was never written, or is restored already
    if now is None:
        return f"{placed.path} is gone; what it was before stands in {copy}."
    if _digest(now) != placed.sha256:
        taken_out = _without(now, placed.insertion)
        if taken_out is None:
            kept = f"what it was before stands in {copy}" if before is not None else "there was none before"
            return f"{placed.path} has changed since it was written, and is left as it is; {kept}."
        before = taken_out
    if before is None:
        placed.path.unlink()
    else:
        _write(placed.path, before, placed.mode or 0o600)
    return ""


def _without(now: bytes, insertion: str) -> bytes | None:
    """The file without the one change that was made to it; None when that is not to be found."""
    inserted = insertion.encode()
    return now.replace(inserted, b"") if inserted and now.count(inserted) == 1 else None


def _read(path: Path) -> bytes | None:
    """A file's bytes; None where there is none. Raises Rejected for a large one, Unavailable where it is unreadable."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise Rejected(Reason.TOO_LARGE, f"{path} is larger than {_MAX_BYTES >> 20} MiB, which no settings are.")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(Reason.DISK, f"{path} cannot be read: {error.strerror}.") from None


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replace a file, whose owner stays the same; at no moment may others read it who could not before."""
    owner = path.stat() if path.exists() else None
    mask = os.umask(0o177)
    try:
        write_durably(path, data)
    finally:
        os.umask(mask)
    if owner and owner.st_uid != os.geteuid():
        os.chown(path, owner.st_uid, owner.st_gid)
    path.chmod(mode)


def _save(directory: Path, placed: Placed) -> None:
    _write(directory / _RECORD, _RECORDS.dump_json([placed]), 0o600)


def _record(directory: Path) -> Placed:
    try:
        (placed,) = _RECORDS.validate_json((directory / _RECORD).read_bytes())
    except (OSError, ValidationError, ValueError):
        raise Unavailable(Reason.DISK, f"{directory / _RECORD} cannot be read.") from None
    return placed


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
