"""Two texts line by line."""

import difflib
from typing import Final

_MAX_LINES: Final = 20_000


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """Lines as `-`, `+` and ` `, `…` for equal ones that are left out; a sentence (`!`) for texts that are too long."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > _MAX_LINES:
        return [("!", f"More than {_MAX_LINES:,} lines: they are not compared here.")]
    found: list[tuple[str, str]] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(2):
        if found:
            found.append(("…", ""))
        for kind, begin, end, new_begin, new_end in group:
            if kind == "equal":
                found += [(" ", line) for line in old[begin:end]]
            else:
                found += [("-", line) for line in old[begin:end]] + [("+", line) for line in new[new_begin:new_end]]
    return found
