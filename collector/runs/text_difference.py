"""Two texts line by line."""

import difflib
from dataclasses import dataclass
from typing import Final

_MAX_LINES: Final = 20_000
_NEAR: Final = 2  # equal lines that are shown beside those that differ


@dataclass(frozen=True, slots=True)
class Line:
    """A line of one text (`-`), the other (`+`) or both, with its number in each, from 1; 0 where it is not.

    `…` stands for equal lines that are left out, `!` for a sentence.
    """

    mark: str
    text: str
    before: int = 0
    after: int = 0


def difference(before: str, after: str, *, whole: bool = False) -> list[Line]:
    """The lines that differ, with those near them; `whole` with all. None of them when the texts are the same.

    A sentence for texts that are too long.
    """
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MAX_LINES:
        return [Line("!", f"More than {_MAX_LINES:,} lines: they are not compared here.")]
    near = len(old) + len(new) if whole else _NEAR
    found: list[Line] = []
    shown = 0  # lines of the first text that are shown or left out
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(near):
        found += _left_out(group[0][1] - shown)
        for kind, begin, end, new_begin, new_end in group:
            if kind == "equal":
                found += [Line(" ", old[at], at + 1, new_begin + at - begin + 1) for at in range(begin, end)]
            else:
                found += [Line("-", old[at], at + 1) for at in range(begin, end)]
                found += [Line("+", new[at], 0, at + 1) for at in range(new_begin, new_end)]
            shown = end
    return [*found, *_left_out(len(old) - shown)] if found else []


def _left_out(number: int) -> list[Line]:
    return [Line("…", "1 equal line" if number == 1 else f"{number:,} equal lines")] if number > 0 else []
