"""docs/configuration.md, from the settings."""

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collector.config import Config
from collector.config.budgets import DIMENSIONS
from collector.config.example import yaml_text
from collector.config.settings import is_reloadable, settings_in
from collector.docs.markdown import code, page, table
from collector.docs.values import range_of, type_of

_INTRODUCTION = f"""\
# Configuration

Settings come from the file that `--config` names (YAML), and single ones from `--set KEY=VALUE`, which win. A value in
the file may hold `${{env:NAME}}`, `${{env:NAME:-default}}` or `${{file:PATH}}`. A setting that is unknown, or written
twice, is refused; `spanmeter check-config` says whether all can be used. `config.example.yaml` has every one with its
default.

`SIGHUP` reads them again; it takes those whose column *Reload* says `yes`, and the others need a restart.

- A *duration* is `250ms`, `10s`, `5m`, `1h30m`, `30d` or `2w`, or a number of seconds; at most 100 years.
- A *size* is `1024`, `64MiB` or `8GiB`.
- *USD* is a decimal number and exact.
- A *dimension* is {", ".join(map(code, DIMENSIONS))} or `attribute.KEY`.
- *list (text)* is a list of such values, *mapping (text: USD)* has such keys and values."""

_TITLES: Final = ("Setting", "Type", "Range", "Default", "Reload", "Meaning")


def render_configuration() -> str:
    """The text of docs/configuration.md."""
    return page(_INTRODUCTION, *_section(Config, "", "", reloadable=False))


def _section(model: type[BaseModel], path: str, text: str, *, reloadable: bool) -> Iterator[str]:
    """The heading and table of a section, then the sections below it."""
    fields = model.model_fields.items()
    rows = [_row(name, field, reloadable=reloadable) for name, field in fields if not _is_section(field)]
    if rows:
        yield f"## {code(path) or 'Top level'}"
        if text:
            yield text
        yield table(_TITLES, rows)
    for name, field in fields:
        found = settings_in(field.annotation)
        if found:
            below = f"{path}.{name}".lstrip(".") + _PLACES[found[1]]
            inherited = reloadable or is_reloadable(field)
            yield from _section(found[0], below, field.description or "", reloadable=inherited)


# What stands in a path for one of several: an item of a list, or a name of a mapping.
_PLACES: Final[dict[type | None, str]] = {None: "", tuple: "[]", dict: ".NAME"}


def _is_section(field: FieldInfo) -> bool:
    found = settings_in(field.annotation)
    return found is not None and found[1] is None


def _row(name: str, field: FieldInfo, *, reloadable: bool) -> tuple[str, ...]:
    reload = "yes" if reloadable or is_reloadable(field) else "restart"
    return code(name), type_of(field), range_of(field), _default(field), reload, field.description or ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "" if field.default in (None, "") else code(yaml_text(field.default))
