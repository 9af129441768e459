"""ClickHouse's named statements. Values are bound as server-side parameters."""

import functools
import re

from collector.schema import statement

_INCLUDE = re.compile(r"^( *)-- include (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--(?! include ).*\n", re.MULTILINE)


@functools.cache
def named_query(name: str, **others: str) -> str:
    """The statement in `schema/queries/NAME.sql`, with the parts it includes.

    A line `-- include PART` stands for the lines of `schema/queries/PART.sql`: what a run's sums are is written once.
    `others` name parts to include in place of some.
    """

    def part(line: re.Match[str]) -> str:
        text = _COMMENT.sub("", named_query(others.get(line[2], line[2]), **others))
        return "".join(f"{line[1]}{each}" for each in text.splitlines(keepends=True))

    return _INCLUDE.sub(part, statement("queries", name))
