"""Texts that are JSON, indented and coloured, and texts as they are, for pages."""

import json
import re
from typing import Final

from markupsafe import Markup, escape

from collector.web.unseen import UNSEEN, code

_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|true|false|null')


def pretty(text: str) -> Markup | None:
    """None for a text that is no JSON. Numbers keep all digits of whole ones."""
    try:
        written = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return None
    return Markup(_TOKEN.sub(_coloured, written))  # noqa: S704 - each token is escaped, and between them is none


def _coloured(token: re.Match[str]) -> str:
    kind = "number" if not token[1] else "key" if token[2] else "text"
    return f'<span class="json-{kind}">{escape(token[1] or token[0])}</span>{token[2] or ""}'


def exact(text: str) -> Markup:
    """For an element that keeps white space: its text is `text`, with a mark of the style sheet at what is not seen.

    NUL, which no page can hold, is U+FFFD there.
    """
    found, at = ["\n"], 0  # the first line end of such an element is no part of it
    for each in UNSEEN.finditer(text):
        found += escape(text[at : each.start()]), f'<span class="unseen" data-code="{code(each)}">{each[0]}</span>'
        at = each.end()
    found.append(escape(text[at:]))
    return Markup("".join(found).replace("\r", "&#13;").replace("\0", "\ufffd"))  # noqa: S704 - parts are escaped
