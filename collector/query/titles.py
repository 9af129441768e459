"""What a run was asked, in a line."""

import json
import re

# A text of a message, whether its JSON is whole or was cut; `role` stands before or behind it.
_TEXT = re.compile(r'"(?:content|text)"\s*:\s*"((?:[^"\\]|\\.)*)')
_USER = re.compile(r'"role"\s*:\s*"(?:user|human)"', re.IGNORECASE)
_MAX_CHARACTERS = 120


def title_of(text: str) -> str:
    """The first line of the first text of the first user's message in an input, of any other input its first line.

    At most 120 characters; a longer one ends in an ellipsis.
    """
    line = next((line.strip() for line in _said(text).splitlines() if line.strip()), "")
    return line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…"


def _said(text: str) -> str:
    if text[:1] not in ("[", "{"):
        return text
    user = _USER.search(text)
    found = _TEXT.search(text, user.start() if user else 0) or _TEXT.search(text)
    if not found:
        return text
    return _unescaped(found[1]) or _unescaped(found[1][: found[1].rfind("\\")])  # it may be cut within an escape


def _unescaped(text: str) -> str:
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return ""
