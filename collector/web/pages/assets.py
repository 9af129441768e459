"""Files of the pages: each under a name with its own digest, so that a browser may keep it for ever."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_IMPORT: Final = re.compile(r'from "\./(\w+\.js)"')


@dataclass(frozen=True, slots=True)
class Asset:
    """`path` is where it is served; `imports` are the paths of the modules it needs."""

    path: str
    body: bytes
    zipped: bytes
    media_type: str
    imports: tuple[str, ...]


@cache
def assets() -> Mapping[str, Asset]:
    """Every file by its plain name. A module names those it imports by their digests too."""
    found: dict[str, Asset] = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            _add(path.name, found)
    return found


@cache
def by_path() -> Mapping[str, Asset]:
    return {asset.path: asset for asset in assets().values()}


def _add(name: str, found: dict[str, Asset]) -> Asset:
    if name in found:
        return found[name]
    path, imports = _FOLDER / name, []

    def named(match: re.Match[str]) -> str:
        asset = _add(match[1], found)
        imports.extend([asset.path, *asset.imports])
        return f'from "{asset.path}"'

    body = _IMPORT.sub(named, path.read_text(encoding="utf-8")).encode()
    digest = hashlib.sha256(body).hexdigest()[:12]
    served = f"/static/{path.stem}.{digest}{path.suffix}"
    zipped = gzip.compress(body, 9, mtime=0)
    found[name] = Asset(served, body, zipped, _TYPES[path.suffix], tuple(dict.fromkeys(imports)))
    return found[name]
