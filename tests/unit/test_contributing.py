"""CONTRIBUTING.md shows the rooms and layers that there are."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "collector"
_ENTRY = re.compile(r"(?P<indent> *)(?P<name>\w+)(?P<kind>/|\.py) {2,}\S")


def block(language: str) -> list[str]:
    """The lines of the fenced block that is marked so."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0]).splitlines()


def listed() -> Iterator[str]:
    """Paths below `collector/` that the tree names, folders with a slash at the end."""
    parents: list[str] = []
    for line in block("tree"):
        entry = _ENTRY.match(line)
        assert entry, f"not `name/` or `name.py` and what it is for: {line!r}"
        depth, odd = divmod(len(entry["indent"]), 2)
        assert not odd, line
        assert depth <= len(parents), line
        del parents[depth:]
        yield "".join(parents) + entry["name"] + entry["kind"]
        parents.append(f"{entry['name']}/")


def existing() -> Iterator[str]:
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent != PACKAGE:
            yield f"{path.parent.relative_to(PACKAGE).as_posix()}/"
    yield from (path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py")


def test_the_tree_has_every_room_once_and_nothing_else() -> None:
    assert sorted(listed()) == sorted(existing())


def test_the_layers_are_those_of_the_import_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert block("layers") == layers
