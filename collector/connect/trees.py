"""Settings as trees of mappings: what merging them means, whatever file they stand in."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

Tree = dict[str, Any]
Path = tuple[str, ...]


def merged(tree: Mapping[str, Any], wanted: Mapping[str, Any], replaces: Collection[Path] = ()) -> Tree:
    """`tree` with every setting of `wanted`: mappings are merged, but those at `replaces`, and all else is replaced."""
    result = dict(tree)
    for path, value in leaves(wanted, replaces):
        _put(result, path, value)
    return result


def leaves(wanted: Mapping[str, Any], replaces: Collection[Path] = (), below: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The settings of a tree by their paths; what stands at `replaces` is one, and so is an empty mapping."""
    for name, value in wanted.items():
        path = (*below, name)
        if isinstance(value, Mapping) and value and path not in replaces:
            yield from leaves(value, replaces, path)
        else:
            yield path, value


def get(tree: Mapping[str, Any], path: Path) -> Any:
    """What stands at `path`; None where nothing does."""
    found: Any = tree
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def filled(tree: Mapping[str, Any], values: Mapping[str, str]) -> Tree:
    """A copy whose texts have `{name}` replaced by the value of that name."""
    return {name: _filled(value, values) for name, value in tree.items()}


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return filled(value, values)
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
    return value


def _put(tree: Tree, path: Path, value: Any) -> None:
    *parents, last = path
    for name in parents:
        below = tree.get(name)
        tree[name] = dict(below) if isinstance(below, Mapping) else {}
        tree = tree[name]
    tree[last] = value
