"""Texts as readers of JSON would see them: escapes decoded, layer by layer, with the places they came from."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# JSON within JSON within JSON: each layer doubles the backslashes of the one in it.
_MAX_LAYERS: Final = 5
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_SIMPLE: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


@dataclass(frozen=True, slots=True)
class Layer:
    """A text, and where its characters are in the one it was made of: piece by piece."""

    text: str
    starts: tuple[int, ...]
    sources: tuple[int, ...]

    def source(self, position: int) -> int:
        """Where the character at `position` (or the end) begins in the text this was made of."""
        piece = bisect_right(self.starts, position) - 1
        return self.sources[piece] + position - self.starts[piece]


def layers(text: str) -> Iterator[Layer]:
    """The text itself, then with its escapes decoded, and theirs; positions are those in `text`."""
    found = Layer(text, (0,), (0,))
    yield found
    for _ in range(_MAX_LAYERS):
        if "\\" not in found.text:
            return
        inner = _decoded(found.text)
        if inner.text == found.text:
            return
        found = Layer(inner.text, inner.starts, tuple(map(found.source, inner.sources)))
        yield found


def renditions(text: str) -> list[str]:
    """The texts of `layers`, for looking only."""
    found = [text]
    while "\\" in found[-1] and len(found) <= _MAX_LAYERS:
        inner = _ESCAPE.sub(_character, found[-1])
        if inner == found[-1]:
            break
        found.append(inner)
    return found


def _decoded(text: str) -> Layer:
    pieces: list[str] = []
    starts, sources = [0], [0]
    length = copied = 0
    for match in _ESCAPE.finditer(text):
        pieces += (text[copied : match.start()], _character(match))
        length += match.start() - copied
        starts.append(length)
        sources.append(match.start())
        length += len(pieces[-1])
        copied = match.end()
        starts.append(length)
        sources.append(copied)
    pieces.append(text[copied:])
    return Layer("".join(pieces), tuple(starts), tuple(sources))


def _character(match: re.Match[str]) -> str:
    """What an escape stands for; a surrogate, which is half a character, U+FFFD."""
    code, simple = match.groups()
    if code is None:
        return _SIMPLE.get(simple, match[0])
    number = int(code, 16)
    return "\ufffd" if 0xD800 <= number < 0xE000 else chr(number)
