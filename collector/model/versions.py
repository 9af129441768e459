"""Which row of a span counts: that of the highest `Version`, which is how complete the row is, then when it arrived.

From the most complete to the least: ended with usage, ended, open with usage, open. A span is open while it has no end
time. Rows of before there were these ranks have their time of receipt as their version: between 2006 and 2043 that is
more than any open row has and less than any ended one.
"""

from typing import Final

RESOLUTION_NS: Final = 16  # of the time of receipt
USAGE: Final = 1 << 59
ENDED: Final = 1 << 61


def version_of(received_at: int, *, ended: bool) -> int:
    """The version of a row without usage; one with usage has USAGE besides. `received_at`: Unix ns below 2**63."""
    return (ENDED if ended else 0) | received_at // RESOLUTION_NS
