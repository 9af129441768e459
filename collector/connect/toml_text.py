"""Settings in TOML whose comments, order and layout stay."""

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from collector.connect.trees import Path, Tree


def read(text: str) -> Tree:
    """The settings. Raises ValueError for what is no TOML."""
    try:
        return tomlkit.parse(text).unwrap()
    except TOMLKitError as error:
        raise ValueError(str(error)) from None


def write(text: str, path: Path, value: Any) -> str:
    """The text with `value` at `path`. Raises ValueError as `read`."""
    try:
        document = tomlkit.parse(text)
        _put(document, path, value)
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ValueError(str(error)) from None


def _put(table: Any, path: Path, value: Any) -> None:
    *parents, last = path
    for name in parents:
        if not isinstance(table.get(name), Mapping):
            table.pop(name, None)
            table[name] = tomlkit.inline_table() if isinstance(table, InlineTable) else tomlkit.table()
        table = table[name]
    shown = _inline(value)
    if isinstance(table.get(last), Mapping) or isinstance(value, Mapping):
        table.pop(last, None)  # sections of its own, which one line replaces
    table[last] = shown


def _inline(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    table = tomlkit.inline_table()
    table.update({name: _inline(below) for name, below in value.items()})
    return table


def shown(tree: Mapping[str, Any]) -> str:
    """A whole file with these settings; below its sections everything is in one line."""
    text = ""
    for name, below in tree.items():
        for key, value in below.items():
            text = write(text, (name, key), value)
    return text
