"""Where the files that come with the package lie."""

import functools
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def schema_root() -> Path:
    """The folder `schema/`: inside an installed wheel, or beside the package in a checkout."""
    packaged = _PACKAGE / "_schema"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "schema"
