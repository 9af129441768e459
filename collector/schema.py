"""The files of `schema/`: statements by name, versions by number. SQL is never built from input: values are bound."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `NNNN_name.sql`: what makes a database of version NNNN out of one of the version before."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """They are separated by a semicolon at the end of a line; comments are kept."""
        parts = (part.strip() for part in self.text.split(";\n"))
        return [part for part in parts if any(line and not line.startswith("--") for line in part.splitlines())]


@functools.cache
def schema_root() -> Path:
    """The folder `schema/`: inside an installed wheel, or beside the package in a checkout."""
    packaged = _PACKAGE / "_schema"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "schema"


@functools.cache
def statement(folder: str, name: str) -> str:
    """The statement in `schema/FOLDER/NAME.sql`."""
    return (schema_root() / folder / f"{name}.sql").read_text(encoding="utf-8")


@functools.cache
def migrations(folder: str) -> tuple[Migration, ...]:
    """Every version in `schema/FOLDER`, in order."""
    return tuple(_migration(path) for path in sorted((schema_root() / folder).glob("[0-9]*.sql")))


def _migration(path: Path) -> Migration:
    number, _, name = path.stem.partition("_")
    return Migration(int(number), name, path.read_text(encoding="utf-8"))
