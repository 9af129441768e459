"""The text of `config.example.yaml`, rendered from the settings."""

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from collector.config.root import Config
from collector.config.settings import settings_in


def render_example(model: type[BaseModel] = Config, indent: int = 0) -> str:
    """The text of `config.example.yaml`: every setting with its default and its help."""
    pad = "  " * indent
    lines: list[str] = []
    for name, field in model.model_fields.items():
        lines.append(f"{pad}# {field.description}")
        found = settings_in(field.annotation)
        if found is None:
            lines.append(f"{pad}{name}: {yaml_text(field.default)}")
        elif found[1] is None:
            lines += [f"{pad}{name}:", render_example(found[0], indent + 1).rstrip("\n")]
        else:
            lines += [
                f"{pad}{name}: {yaml_text(field.default)}",
                *_commented_item(found[0], pad, named=found[1] is dict),
            ]
    return "\n".join(lines) + "\n"


def _commented_item(model: type[BaseModel], pad: str, *, named: bool) -> Iterator[str]:
    """An item to copy: of a list, or of a mapping in which each has a name."""
    if named:
        yield f"{pad}#  NAME:"
    for position, (name, field) in enumerate(model.model_fields.items()):
        bullet = "- " if position == 0 and not named else "  "
        value = "" if field.is_required() else f" {yaml_text(field.default)}"
        yield f"{pad}#  {bullet}{name}:{value}  # {field.description}"


def yaml_text(value: Any) -> str:
    """A value as it is written in YAML, on one line."""
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("...").strip()
