"""The configuration file, its references and the command line's overrides as settings; mistakes as sentences.

The only module that reads the environment or configuration files.
"""

import os
import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from collector.config.root import Config
from collector.config.settings import nearest, settings_in, shown
from collector.errors import ConfigError

_REFERENCE = re.compile(r"\$\{(env|file):([^}]*?)(?::-([^}]*))?\}")


def load(path: Path | None = None, overrides: Sequence[str] = (), data_dir: Path | None = None) -> Config:
    """Read a configuration file (YAML), apply `a.b.c=value` overrides, and validate. Both may hold references.

    Raises ConfigError with one sentence per mistake.
    """
    tree = read_yaml(path, "the configuration file") if path else {}
    for override in overrides:
        _apply(tree, override)
    if data_dir:
        tree["data_dir"] = str(data_dir)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        where = str(path) if path else "the settings"
        raise ConfigError(f"{where} cannot be used:\n" + "\n".join(f"  {line}" for line in sentences(error))) from None


_BOOLEAN, _TEXT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:str"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice, of which YAML would drop one without a word. Keys are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{shown(name)} is written twice", key.start_mark)
            seen.add(name)
            if name is not None and key.tag == _BOOLEAN:  # `on:` is a word here
                key.tag = _TEXT
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, what: str, of_list: str = "") -> dict[str, Any]:
    """The mapping in a file of YAML, references expanded; a list, where `of_list` names what it is, is taken for that.

    Raises ConfigError; `what` names the file in it.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}  # noqa: S506 - a SafeLoader
        expanded: Any = _expand(tree)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {what} {path}: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {_problem(error)}.") from None
    except ValueError as error:  # a number or date that YAML recognises and Python cannot hold
        raise ConfigError(f"{path} is not YAML: {error}.") from None
    except RecursionError:
        raise ConfigError(f"{path} cannot be read: it nests too deeply, or refers to itself.") from None
    if isinstance(expanded, list) and of_list:
        return {of_list: expanded}
    if not isinstance(expanded, dict):
        raise ConfigError(f"{path} must hold settings as `key: value` lines, not a {type(expanded).__name__}.")
    return expanded


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the line itself: it may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    mark = error.problem_mark or error.context_mark
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{error.problem or error.context}{where}"


def _expand(node: Any) -> Any:
    """Replace `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in every string."""
    if isinstance(node, dict):
        return {key: _expand(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_expand(value) for value in node]
    return _REFERENCE.sub(_resolve, node) if isinstance(node, str) else node


def _resolve(match: re.Match[str]) -> str:
    kind, name, default = match.groups()
    if kind == "env":
        value = os.environ.get(name, default)
        if value is None:
            raise ConfigError(f"The configuration refers to {match[0]}, but the variable {name} is not set.")
        return value
    try:
        return Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration refers to {match[0]}, which cannot be read: {error}.") from None


def _apply(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set takes key=value, for example web.endpoint=127.0.0.1:0, not {override!r}.")
    *parents, leaf = key.split(".")
    node = tree
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {key}: {name} is a single setting and has nothing below it.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        value = text  # `[::1]:4317` begins like a YAML list
    node[leaf] = _expand(value)


def sentences(error: ValidationError, model: type[BaseModel] = Config) -> Iterator[str]:
    """What is wrong with settings of `model`, each mistake with its path."""
    for problem in error.errors(include_url=False, include_input=False):
        location = tuple(part for part in problem["loc"] if not _is_tag(part))
        path = ".".join(_clipped(part) for part in location)
        context = problem.get("ctx", {})
        if problem["type"] == "extra_forbidden":
            yield f"{path}: unknown setting{nearest(str(location[-1]), _fields_at(model, location[:-1]))}"
        elif problem["type"] == "mistakes":
            for below, sentence in context["mistakes"]:
                yield f"{'.'.join(part for part in (path, below) if part)}: {sentence}"
        else:
            message = _SHAPES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
            yield f"{path}: {message}" if path else message


_SHAPES = {
    "model_type": "takes settings, as lines `key: value`",
    "dict_type": "takes a mapping, as lines `key: value`",
    "tuple_type": "takes a list, as [a, b] or lines that begin with a dash",
    "string_type": "takes text; write it in quotes",
}


def _is_tag(part: int | str) -> bool:
    """What pydantic adds to the path of a setting: the branch of a union, or that a key is meant."""
    return isinstance(part, str) and (part == "[key]" or (part.startswith("<") and part.endswith(">")))


def _clipped(part: int | str) -> str:
    text = str(part)
    return text if len(text) <= 60 and text.isprintable() else shown(text)


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    parts = iter(location)
    for part in parts:
        field = model.model_fields.get(str(part))
        found = settings_in(field.annotation) if field else None
        if found is None:
            return []
        model, many = found
        if many:
            next(parts, None)
    return list(model.model_fields)
