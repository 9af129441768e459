"""Pieces of Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

NOTICE: Final = "<!-- Rendered from the code by `make docs`: change it there. -->"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, without the columns that are empty in every row."""
    rows = list(rows)
    used = [column for column in range(len(titles)) if any(row[column] for row in rows)]
    lines = [[titles[column] for column in used], ["---"] * len(used)]
    lines += [[_cell(row[column]) for column in used] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: str) -> str:
    """`text` as code; empty when it is."""
    return f"`{text}`" if text else ""


def page(*blocks: str) -> str:
    """A document of these blocks, after a notice that it is rendered."""
    return "\n\n".join((NOTICE, *blocks)) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
