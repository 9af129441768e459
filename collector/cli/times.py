"""Points in time on the command line."""

import argparse
from datetime import UTC, datetime


def moment(text: str) -> datetime:
    """A date or time, of UTC unless it says another zone. Raises argparse's error with a sentence."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a date or time like 2026-11-01 or 2026-11-01T08:00"
        ) from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
