"""Rows as CSV, safe to open with a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

CSV_TYPE: Final = "text/csv; charset=utf-8"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_text(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """A line of names, and one a row; nothing for None.

    Texts that a spreadsheet would take for a formula have an apostrophe before them.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
