"""Characters that are not to be seen, or turn what is around them: a name that has one can look like another.

`static/format.js` knows the same.
"""

import re
from typing import Final

from markupsafe import Markup

# Controls but for tabs and line ends, formats (Cf), separators of lines, blank letters, and what is no character. A
# joiner belongs to the emoji that it joins.
UNSEEN: Final = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180e"
    "\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
    "|\u200d(?![\u203c-\u3299\U0001f000-\U0001faff])"
)


def code(found: re.Match[str]) -> str:
    """`U+202E`."""
    return f"U+{ord(found[0]):04X}"


def visible(text: str) -> str:
    """The text with a mark in place of each such character."""
    return text if text.isascii() and text.isprintable() else UNSEEN.sub(mark, text)


def shown(value: object) -> object:
    """What a template puts out: texts as `visible`; markup is left as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def mark(found: re.Match[str]) -> str:
    """What stands in place of such a character in a text that is not markup."""
    return f"\u27e8{code(found)}\u27e9"
