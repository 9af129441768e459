"""Settings files of every format: what they hold, and their text with settings changed and the rest left alone."""

from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Final

from collector.connect import env_text, json_text, toml_text
from collector.connect.trees import Path, Tree, get, leaves, merged
from collector.errors import Reason, Rejected

_FORMATS: Final[Mapping[str, ModuleType]] = {"json": json_text, "toml": toml_text, "env": env_text}


def edited(text: str, kind: str, wanted: Tree, replaces: Collection[str] = ()) -> tuple[str, list[Path]]:
    """The text with the settings of `wanted`, and which of them it had otherwise or not at all.

    `replaces` are dotted paths of what is replaced as a whole. Raises Rejected for a text that is not in its format,
    and for one that cannot be changed without changing what else it says.
    """
    form, whole = _FORMATS[kind], {tuple(path.split(".")) for path in replaces}
    before = read(text, kind)
    changed = [path for path, value in leaves(wanted, whole) if get(before, path) != value]
    after = text
    try:
        for path in changed:
            after = form.write(after, path, get(wanted, path))
        equal = form.read(after) == merged(before, wanted, whole)
    except Exception as error:  # noqa: BLE001 - of libraries; whatever it is, the file stays as it is
        raise _cannot_change(str(error)) from None
    if not equal:
        raise _cannot_change("other settings would change with them")
    return after, changed


def shown(kind: str, wanted: Tree) -> str:
    """The settings as a whole file of their own."""
    text: str = _FORMATS[kind].shown(wanted)
    return text


def read(text: str, kind: str) -> Tree:
    """What a file holds. Raises Rejected for a text that is not in its format."""
    try:
        found: Tree = _FORMATS[kind].read(text)
    except ValueError as error:
        raise Rejected(Reason.MALFORMED, f"it is not {_NAMES[kind]}: {error}") from None
    return found


def _cannot_change(why: str) -> Rejected:
    return Rejected(Reason.MALFORMED, f"its settings cannot be put in place ({why})")


_NAMES: Final = {"json": "JSON", "toml": "TOML", "env": "lines NAME=value"}
