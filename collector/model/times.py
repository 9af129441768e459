"""Times as Unix nanoseconds, of which `datetime` would lose the last three digits."""

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"[^+\-Zz]*[.,](\d+)")
_LONGEST_DATE = 10  # what follows has no sign but that of the zone


def nanoseconds(moment: datetime) -> int:
    """Unix nanoseconds of a time with a zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def unix_nano(text: str) -> int:
    """Unix nanoseconds of a date or time in ISO 8601, of UTC unless it names a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    at = nanoseconds(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)
    fraction = _FRACTION.match(text, _LONGEST_DATE)
    return at + (int(f"{fraction[1]:0<9.9}") % 1000 if fraction else 0)
