"""Numbers and times as pages show them: one style for each, the exact value beside it."""

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_UP)
_SMALL: Final = 4  # decimals of a column in which amounts are below a dollar
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def decimals_of(amounts: Iterable[Decimal | None]) -> int:
    """How many decimals a column of money has, so that its points line up: two, or four with any below a dollar."""
    return _SMALL if any(amount is not None and 0 < abs(amount) < 1 for amount in amounts) else 2


def money(amount: Decimal | str | None, decimals: int | None = None) -> str:
    """USD for people; nothing for None. What would read $0.0000 has four significant digits instead."""
    if amount is None:
        return ""
    value = Decimal(amount)
    places = decimals_of([value]) if decimals is None else decimals
    shown = _EXACT.quantize(abs(value), Decimal(1).scaleb(-places))
    if value and not shown:
        places = 3 - abs(value).adjusted()
        shown = _EXACT.quantize(abs(value), Decimal(1).scaleb(-places))
    return f"{'−' if value < 0 else ''}${shown:,f}"


def exact(amount: Decimal | str | None) -> str:
    """USD with all its twelve decimals."""
    return "" if amount is None else f"${Decimal(amount):,.12f}"


def duration(nanoseconds: float) -> str:
    """Three digits and a unit below 100 s, then minutes and hours."""
    ns = abs(nanoseconds)
    sign = "−" if nanoseconds < 0 else ""
    if ns < 999_500:
        return f"{sign}{ns / 1e3:.0f} µs"
    if ns < 999_500_000:
        return f"{sign}{_three(ns / 1e6)} ms"
    if ns < 99_950_000_000:
        return f"{sign}{_three(ns / 1e9)} s"
    seconds = round(ns / 1e9)
    if seconds < 3600:
        return f"{sign}{seconds // 60} min {seconds % 60:02d} s"
    minutes = round(ns / 60e9)
    if minutes < 48 * 60:
        return f"{sign}{minutes // 60} h {minutes % 60:02d} min"
    hours = round(ns / 3600e9)
    return f"{sign}{hours // 24} d {hours % 24} h"


def mark(nanoseconds: float) -> str:
    """A duration as marks of an axis have it: without a fraction that is zero."""
    return re.sub(r" (00 s|00 min)$", "", re.sub(r"\.0+ ", " ", duration(nanoseconds))) if nanoseconds else "0"


def _three(value: float) -> str:
    return f"{value:.{2 - math.floor(math.log10(value)) if value < 100 else 0}f}" if value >= 1 else f"{value:.2f}"


def count(number: float | None) -> str:
    """Whole numbers with commas, above 999,999 in millions with three digits."""
    if number is None:
        return ""
    if abs(number) < 1_000_000:
        return f"{number:,.0f}"
    for unit, size in (("M", 10**6), ("G", 10**9)):
        value = number / size
        if abs(value) < 999.5:
            return f"{_three(abs(value))} {unit}"
    return f"{number / 10**12:,.2f} T"


def size(number: int) -> str:
    """Bytes in the unit that suits them, and exactly."""
    if number < 1024:
        return f"{number} bytes"
    value, at = float(number), 0
    while value >= 1024 and at < len(_UNITS) - 1:
        value, at = value / 1024, at + 1
    return f"{_three(value)} {_UNITS[at]} ({number:,} bytes)"


def percent(part: float) -> str:
    """A fraction with one decimal."""
    return f"{part * 100:.1f} %"


def signed(text: str) -> str:
    """With a plus where there is no minus."""
    return text if text.startswith("−") else f"+{text}"


def moment(unix_nano: int, zone: tzinfo = UTC) -> datetime:
    return datetime.fromtimestamp(unix_nano // 10**9, zone).replace(microsecond=unix_nano // 1000 % 10**6)


def full_time(unix_nano: int, zone: tzinfo = UTC) -> str:
    """`28 Nov 2026 16:26:12.004 UTC`."""
    at = moment(unix_nano, zone)
    return f"{at.day} {at:%b %Y %H:%M:%S}.{at.microsecond // 1000:03d} {zone_name(at)}"


def short_time(unix_nano: int, now: int, zone: tzinfo = UTC) -> str:
    """The time of a moment of today, with the day of any other."""
    at, today = moment(unix_nano, zone), moment(now, zone)
    if at.date() == today.date():
        return f"{at:%H:%M:%S}"
    return f"{at.day} {at:%b %H:%M}" if at.year == today.year else f"{at.day} {at:%b %Y}"


def zone_name(at: datetime) -> str:
    """As people call it where they do, else its distance from UTC."""
    name = at.tzname() or "UTC"
    if name.isalpha():
        return name
    return f"UTC{name[:3]}:{name[3:]}" if len(name) == 5 else f"UTC{name}"


def ago(seconds: float) -> str:
    """How long ago, in one unit."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def plural(number: int, word: str, words: str = "") -> str:
    """`1 span`, `2 spans`."""
    return f"{count(number)} {word if number == 1 else words or word + 's'}"


def steps(length: float, most: int) -> Sequence[float]:
    """Round marks of an axis from 0 to `length`, at most so many."""
    if length <= 0:
        return [0]
    raw = length / max(most, 1)
    scale = 10 ** math.floor(math.log10(raw))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= raw)
    return [step * at for at in range(math.floor(length / step) + 1)]
