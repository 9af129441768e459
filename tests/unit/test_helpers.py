"""Where helpers of tests live: in `tests/support`, and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT) for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports from, at its top or within functions."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_helpers_are_imported_from_support_only(path: Path) -> None:
    of_tests = {name for name in imported(path) if name.partition(".")[0] == "tests"}
    assert {name for name in of_tests if not f"{name}.".startswith("tests.support.")} == set()


def test_one_place_starts_daemons() -> None:
    starting = [str(path) for path in MODULES if path.parts[0] == "tests" and _starts_daemons(path)]
    assert starting == ["tests/support/daemon.py"]


def _starts_daemons(path: Path) -> bool:
    lists = (node for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.List))
    words = ([word.value for word in found.elts if isinstance(word, ast.Constant)] for found in lists)
    return any(tuple(found[:3]) == ("-m", "collector", "serve") for found in words)
