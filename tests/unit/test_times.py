"""Times as they are written become Unix nanoseconds, the last of them too."""

import pytest

from collector.model.times import unix_nano
from collector.web.times import rfc3339

EIGHT = 1_795_248_000_000_000_000  # 2026-11-21T08:00:00Z


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-21T08:00:00Z", EIGHT),
        ("2026-11-21 08:00", EIGHT),
        ("2026-11-21T08:00:00.123456789Z", EIGHT + 123_456_789),
        ("2026-11-21T09:00:00,000000001+01:00", EIGHT + 1),
        ("20261121T080000.0000001", EIGHT + 100),
        ("2026-W47-6T05:00:00.0000000079-03:00", EIGHT + 7),
        ("2026-11-21T07:59:59.999999999", EIGHT - 1),
        ("2026-11-21", EIGHT - 8 * 3_600 * 10**9),
    ],
)
def test_a_time_keeps_its_nanoseconds(text: str, nanoseconds: int) -> None:
    assert unix_nano(text) == nanoseconds
    assert unix_nano(rfc3339(nanoseconds)) == nanoseconds


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-21T08:00:00.x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"isoformat|month"):
        unix_nano(text)
