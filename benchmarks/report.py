"""Tables and JSON: what every benchmark prints."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.load import Figures


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Options that all have."""
    made = argparse.ArgumentParser(description=(documentation or "").partition("\n")[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too; `-` for the last line")
    return made


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Median and range: `13.9 (13.1-15.0)`."""
    if not values:
        return "-"
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})" if len(values) > 1 else f"{middle:.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table whose columns line up."""
    cells = [list(map(str, row)) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> Figures:
    """Where and when figures were taken."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def write(options: argparse.Namespace, figures: Figures) -> None:
    """The figures as JSON, where `--json` says; the last line of standard output when it says nothing."""
    text = json.dumps({"machine": machine(), **figures})
    if options.json and str(options.json) != "-":
        options.json.write_text(text + "\n")
    else:
        print(text)
