"""What a backup is: a directory whose manifest was written last. Without one it was never finished."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from collector.errors import StartError
from collector.files import write_durably

FILE = "backup.json"
_FORMAT = 1
# The time it was begun, to the millisecond: names sort by it, and nothing else in the directory is taken for a backup.
NAME = re.compile(r"\d{8}T\d{9}Z")


@dataclass(frozen=True, slots=True)
class Manifest:
    """`base` is the name of the backup that this one adds to, beside it in the same directory; empty for none.

    `schema` is the newest migration of the database; `rows` are those of each table, replaced versions included;
    `bytes` is what the store's files are in all, those in the bases included. `sums` is the digest of the list of
    digests of its files, and `data_dir` the data directory that it is of; both are empty where an earlier version
    noted none.
    """

    name: str
    base: str
    taken_at_unix_nano: int
    version: str
    schema: int
    database: str
    rows: dict[str, int]
    bytes: int
    sums: str = ""
    data_dir: str = ""
    format: int = _FORMAT


_MANIFEST = TypeAdapter(Manifest)


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Finish a backup, durably. Raises OSError."""
    write_durably(backup / FILE, _MANIFEST.dump_json(manifest, indent=2) + b"\n")


def read_manifest(backup: Path) -> Manifest:
    """Raises StartError for what is no finished backup of this or an earlier version."""
    path = backup / FILE
    try:
        manifest = _MANIFEST.validate_json(path.read_bytes())
    except OSError as error:
        raise StartError(f"{backup} is no finished backup: cannot read {path}: {error.strerror}.") from None
    except ValidationError:
        raise StartError(f"{path} is not as spanmeter writes it: damaged, or of a newer version.") from None
    if not (NAME.fullmatch(manifest.name) and NAME.fullmatch(manifest.base or manifest.name)):
        raise StartError(f"{path} was changed: names of backups are times, as 20261129T120000123Z.")
    if manifest.format > _FORMAT:
        raise StartError(f"{backup} was made by spanmeter {manifest.version}, which is newer. Restore it with that.")
    return manifest


def finished(directory: Path, unusable: Callable[[str], object]) -> Sequence[Manifest]:
    """The backups in a directory, oldest first. `unusable` is called with a sentence for each that cannot be read."""
    found = []
    for path in _named(directory):
        if (path / FILE).exists():
            try:
                found.append(read_manifest(path))
            except StartError as error:
                unusable(str(error))
    return found


def chain_of(backup: Path) -> Mapping[Path, Manifest]:
    """A backup and all that it adds to, by directory. Raises StartError where one of them is no finished backup."""
    manifest = read_manifest(backup)
    chain = {backup: manifest}
    while manifest.base:  # the engine's own message would name neither the backup nor what to do
        path = backup.parent / manifest.base
        if path in chain:
            raise StartError(f"The backups below {backup} go round in a circle; their manifests were changed.")
        chain[path] = manifest = read_manifest(path)
    return chain


def unfinished(directory: Path) -> Sequence[Path]:
    """What backups that failed have left in a directory."""
    return [path for path in _named(directory) if not (path / FILE).exists()]


def _named(directory: Path) -> Sequence[Path]:
    if not directory.is_dir():
        return ()
    return sorted(path for path in directory.iterdir() if NAME.fullmatch(path.name) and path.is_dir())
