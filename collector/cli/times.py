"""Points in time on the command line."""

import argparse

from collector.model.times import unix_nano


def moment(text: str) -> int:
    """Unix nanoseconds of a date or time, of UTC unless it names another zone. Raises argparse's error."""
    try:
        return unix_nano(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date or time like 2026-11-01 or 2026-11-01T08:00"
        ) from None
