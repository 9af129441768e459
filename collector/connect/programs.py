"""The programs of `schema/connect.yaml`, and their settings for one daemon."""

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from collector.connect.trees import Tree, filled, get, leaves, merged
from collector.schema import schema_root

_VARIABLE: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


class Mend(BaseModel):
    """The lines that mend what is missing or wrong; `usage` is about calls that do not say what they used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    protocol: str
    token: str
    signal: str
    content: str = ""
    usage: str = ""


class Program(BaseModel):
    """One of them; `schema/connect.yaml` says what each field means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    file: str
    format: Literal["json", "toml", "env"]
    services: tuple[str, ...]
    signal: Literal["logs", "traces"]
    settings: Tree
    token: Tree
    content: Tree
    replaces: tuple[str, ...] = ()
    install: str = ""
    code: str = ""
    run: str
    mend: Mend
    notes: tuple[str, ...] = ()
    source: str
    checked: str = ""

    @property
    def shown_file(self) -> str:
        """Where its settings stand for most users, as it is written in documentation."""
        return _VARIABLE.sub(lambda match: match[2], self.file)

    def path(self, environment: Mapping[str, str], home: Path) -> Path:
        """Where its settings stand for a user with this environment."""
        found = _VARIABLE.sub(lambda match: environment.get(match[1]) or match[2], self.file)
        return home / found.removeprefix("~/") if found.startswith("~/") else Path(found)

    def run_with(self, file: str) -> str:
        """What to type to run it with the settings in a file, as the shell has it."""
        return self.run.replace("{file}", shlex.quote(file))

    def wanted(self, http: str, token: str = "", service: str = "", *, content: bool = False) -> Tree:
        """Its settings for the daemon at `http`; those of a token only with one."""
        tree = merged(self.settings, self.token) if token else self.settings
        tree = merged(tree, self.content) if content else tree
        return filled(tree, {"http": http, "token": token, "service": service})

    def sends_content(self, settings: Tree) -> bool:
        """Whether these settings have prompts and answers sent, as far as settings decide it."""
        wanted = list(leaves(self.content))
        return bool(wanted) and all(get(settings, path) == value for path, value in wanted)

    def token_in(self, settings: Tree) -> str:
        """The token that these settings send; empty without one."""
        for path, pattern in leaves(self.token):
            before, _, after = str(pattern).partition("{token}")
            value = str(get(settings, path) or "")
            if value.startswith(before) and value.endswith(after):
                return value[len(before) : len(value) - len(after)]
        return ""


@cache
def programs() -> Mapping[str, Program]:
    """All of them by name, in the order of the file."""
    rows: dict[str, dict[str, Any]] = yaml.safe_load((schema_root() / "connect.yaml").read_text(encoding="utf-8"))
    return {name: Program(name=name, **row) for name, row in rows.items()}
