"""Money: integer picodollars (1e-12 USD) inside, Decimal(18, 12) USD in ClickHouse, never a float.

Amounts are added as exact integers or ratios and rounded once, at the end, half to even.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import StrEnum
from functools import lru_cache

PICODOLLARS_PER_USD = 10**12

# Decimal(18, 12) ends just below a million dollars.
MAX_PICODOLLARS = 10**18 - 1

_UNIT = Decimal("1e-12")
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


class PriceStatus(StrEnum):
    """Why a span has a cost, or has none; values of the column PriceStatus."""

    PRICED = "priced"
    REPORTED = "reported"
    UNKNOWN_MODEL = "unknown_model"
    NO_USAGE = "no_usage"
    NOT_A_CALL = "not_a_call"
    ROLLED_UP = "rolled_up"


def picodollars(amount: Decimal | int | str) -> int:
    """USD as picodollars: exact up to 12 decimals, beyond them the nearest, half to even.

    Raises ValueError for what is not a finite number or what Decimal(18, 12) cannot hold.
    """
    try:
        value = Decimal(amount)
    except (InvalidOperation, TypeError, ValueError):
        raise ValueError(f"{str(amount)[:40]!r} is not an amount of money") from None
    if not value.is_finite() or (value and value.adjusted() > 5):
        raise ValueError(f"{str(amount)[:40]!r} is not an amount of money below a million USD")
    if value.adjusted() < -40:
        return 0
    pico = int(value.quantize(_UNIT, context=_EXACT).scaleb(12, context=_EXACT))
    if not fits(pico):
        raise ValueError(f"{str(amount)[:40]!r} is not an amount of money below a million USD")
    return pico


def picodollars_of_sum(total: str) -> int:
    """A sum of Decimal(18, 12) columns as text, in picodollars; sums may pass the million that one amount may not."""
    return int(Decimal(total).scaleb(12, context=_EXACT))


def usd(pico: int) -> Decimal:
    """Picodollars as USD with 12 decimals, exactly, whatever the thread's decimal context."""
    return Decimal(f"{pico}E-12")


# Answers about budgets repeat the same limits and sums over and over.
@lru_cache(maxsize=10_000)
def usd_text(pico: int) -> str:
    """Picodollars as USD with 12 decimals, in digits: 1.250000000000."""
    if pico < 0:
        return f"-{usd_text(-pico)}"
    digits = str(pico).zfill(13)
    return f"{digits[:-12]}.{digits[-12:]}"


def decimal_text(amount: Decimal) -> str:
    """An amount in digits, never with an exponent."""
    return format(amount, "f")


def fits(pico: int) -> bool:
    """Whether a Decimal(18, 12) column holds the amount."""
    return -MAX_PICODOLLARS <= pico <= MAX_PICODOLLARS


def nearest(numerator: int, denominator: int) -> int:
    """`numerator / denominator` as an integer, half to even."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def apportion(shares: dict[str, int], denominator: int) -> tuple[int, dict[str, int]]:
    """The total of `shares` (picodollars times `denominator`), rounded once, and lines that add up to exactly it.

    Each line is its share rounded down; the picodollars then missing from the total go to the lines that lost most,
    earlier ones first among equals, so that no line is off by a whole picodollar.
    """
    if denominator == 1:
        return sum(shares.values()), shares
    total = nearest(sum(shares.values()), denominator)
    lines = {name: share // denominator for name, share in shares.items()}
    by_loss = sorted(shares, key=lambda name: -(shares[name] % denominator))
    for name in by_loss[: total - sum(lines.values())]:
        lines[name] += 1
    return total, lines
