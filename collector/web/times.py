"""Times in answers."""

from datetime import UTC, datetime


def rfc3339(unix_nano: int) -> str:
    """In UTC with nine decimals: no nanosecond is lost."""
    second, nanoseconds = divmod(unix_nano, 10**9)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
