"""Settings as lines `NAME=value`, as a shell and the readers of `.env` files take them."""

import io
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from collector.connect.trees import Path, Tree

_SETTING: Final = re.compile(
    r"""(?P<before>\s*(?:export[ \t]+)?)[^=\s]+[ \t]*(?:=[ \t]*
    (?:'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [^\s'"#][^\r\n]*? | ))?
    (?P<after>(?:[ \t]+\#[^\r\n]*)?\s*)""",
    re.VERBOSE | re.DOTALL,
)


def read(text: str) -> Tree:
    """The settings. Raises ValueError for a line that is none."""
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise ValueError(f"line {binding.original.line}: settings are written NAME=value")
    return dict(dotenv_values(stream=io.StringIO(text), interpolate=False))


def write(text: str, path: Path, value: Any) -> str:
    """The text with `value` at `path`, which is one name. Where it is set several times, the last one is changed."""
    (name,), parts = path, [binding.original.string for binding in parse_stream(io.StringIO(text))]
    names = [binding.key for binding in parse_stream(io.StringIO(text))]
    line = "\r\n" if "\r\n" in text else "\n"
    setting = f"{name}={shlex.quote(str(value))}"
    if name not in names:
        between = "" if not text or text.endswith("\n") else line
        return f"{text}{between}{setting}{line}"
    at = len(names) - 1 - names[::-1].index(name)
    if not (found := _SETTING.fullmatch(parts[at])):
        raise ValueError(f"{name} is written in a way that cannot be changed")
    parts[at] = f"{found['before']}{setting}{found['after']}"
    return "".join(parts)


def shown(tree: Mapping[str, Any]) -> str:
    """A whole file with these settings."""
    return "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in tree.items())
