"""The time a page is about: the last hours or days, a month, or from one moment to another."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final

from collector.errors import Reason, Rejected
from collector.model.times import unix_nano
from collector.web.pages import formats
from collector.web.pages.page import Asked
from collector.web.run_inputs import in_order
from collector.web.times import rfc3339

_LAST: Final = re.compile(r"([0-9]{1,4})([hd])\Z")
_HOUR_NS: Final = 3600 * 10**9
_MINUTE_NS: Final = 60 * 10**9
CHOICES: Final = (("1h", "Last hour"), ("24h", "Last 24 h"), ("7d", "Last 7 days"), ("30d", "Last 30 days"))


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until), Unix nanoseconds. `compares`: whether the time before, as long, says anything."""

    since: int
    until: int
    label: str
    choice: str
    compares: bool = True

    @property
    def since_text(self) -> str:
        return rfc3339(self.since)

    @property
    def until_text(self) -> str:
        return rfc3339(self.until)

    @property
    def length(self) -> int:
        return self.until - self.since


def spoken(period: Period, zone: tzinfo) -> str:
    """`Last 24 h, 28 Nov 16:30 UTC to now`; from when until when, for a period that was written out."""
    if not period.choice:
        return period.label
    at = formats.moment(period.since, zone)
    return f"{period.label}, {at.day} {at:%b %H:%M} {formats.zone_name(at)} to now"


def period_of(asked: Asked, default: str = "24h") -> Period:
    """As `last`, or `since` and `until`, say. Raises Rejected(MALFORMED) for what is no time."""
    if asked.query.get("since") or asked.query.get("until"):
        return _between(asked)
    if "last" not in asked.query and default == "month":
        return _month(asked)
    last = asked.query.get("last") or default
    if last == "month":
        return _month(asked)
    found = _LAST.match(last)
    if not found or not int(found[1]):
        raise Rejected(Reason.MALFORMED, f"last={last[:40]!r} is not a length of time; write for example 24h or 7d.")
    number, unit = int(found[1]), found[2]
    until = asked.now + _MINUTE_NS  # clocks of exporters may be ahead of ours
    since = max(until - number * _HOUR_NS * (24 if unit == "d" else 1), 0)
    label = dict(CHOICES).get(last) or f"Last {number} {'h' if unit == 'h' else 'days'}"
    return Period(since, until, label, last)


def _between(asked: Asked) -> Period:
    until = _moment(asked, "until", asked.now + _MINUTE_NS)
    since = _moment(asked, "since", until - 7 * 24 * _HOUR_NS)
    in_order(since, until)
    label = f"{formats.full_time(since, asked.zone)} to {formats.full_time(until, asked.zone)}"
    return Period(since, max(until, since + 1), label, "")


def _month(asked: Asked) -> Period:
    now = formats.moment(asked.now, asked.zone)
    begin = datetime(now.year, now.month, 1, tzinfo=asked.zone)
    since = int(begin.astimezone(UTC).timestamp()) * 10**9
    return Period(since, asked.now + _MINUTE_NS, "Month to date", "month")


def _moment(asked: Asked, name: str, otherwise: int) -> int:
    written = asked.query.get(name)
    if not written:
        return otherwise
    try:
        found = unix_nano(written)
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found < 2**32 * 10**9:
        raise Rejected(
            Reason.MALFORMED, f"{name}={written[:40]!r} is not a time; write for example 2026-11-21T08:00:00Z."
        )
    return found
