"""When a webhook that failed is sent again: the example schedule of Standard Webhooks, with the jitter it recommends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, version 1.0.0,
"Deliverability and reliability" (the table, to 75:35:05 after the first attempt) and "Delivery success and failure".
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

_MINUTE, _HOUR = 60.0, 3600.0
# Seconds from one attempt to the next: ten attempts over three days.
DELAYS = (5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
MAX_DELAY = 24 * _HOUR
_JITTER = 0.2
LONGEST_DELAY = MAX_DELAY * (1 + _JITTER)


class Outcome(StrEnum):
    """What an answer's status means for its delivery."""

    DELIVERED = "delivered"
    FAILED = "failed"  # tried again while the schedule lasts
    GONE = "gone"  # the receiver wants no more: its endpoint is disabled


def outcome_of(status: int) -> Outcome:
    """2xx is success, 410 the end; anything else may pass: people mend a path or a secret within the schedule."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    return Outcome.GONE if status == 410 else Outcome.FAILED


def next_delay(failures: int, retry_after: float | None, random: Callable[[], float]) -> float | None:
    """Seconds until the next attempt after `failures` of them (1 or more); None when it was the last.

    `random` answers 0 <= x < 1: a fifth of the delay to either side, so that receivers come back to no flood.
    `retry_after` (seconds) can only delay, and a day at most.
    """
    if failures > len(DELAYS):
        return None
    delay = jittered(DELAYS[failures - 1], random)
    asked = (retry_after or 0.0) * (1 + _JITTER * random())
    return min(max(delay, asked), MAX_DELAY)


def jittered(delay: float, random: Callable[[], float]) -> float:
    """A fifth of the delay to either side; `random` answers 0 <= x < 1."""
    return delay * (1 + _JITTER * (2 * random() - 1))


def parse_retry_after(text: str | None, now_ns: int) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); None for what is none or lies in the past."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_DELAY)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    moment = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    seconds = (moment - datetime.fromtimestamp(now_ns / 1e9, UTC)).total_seconds()
    return min(seconds, MAX_DELAY) if seconds > 0 else None
