"""How much of what was written to a cache is kept for an hour, when only the total and the cost are known."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from collector.enrich.prices.rates import BUCKETS, Rates
from collector.model.money import PICODOLLARS_PER_USD, nearest

CACHE_WRITE: Final = BUCKETS.index("cache_write")
CACHE_WRITE_1H: Final = BUCKETS.index("cache_write_1h")
PICODOLLARS_PER_MICRODOLLAR: Final = 10**6


def hour_writes(amounts: tuple[int, ...], rates: Sequence[Rates], reported_cost: Decimal) -> tuple[int, ...]:
    """The amounts of BUCKETS, with as many of the cache writes priced for an hour as give the reported cost (USD).

    `rates` are those that the cost may have been worked out with, most likely first; all writes or none at any of them
    come before a part of them. The amounts as they are when no number of the writes gives that cost.
    """
    writes = amounts[CACHE_WRITE]
    splits = [hour for each in rates if (hour := _split(amounts, each, reported_cost)) is not None]
    hour = next((hour for hour in splits if hour in (0, writes)), next(iter(splits), 0))
    changed = list(amounts)
    changed[CACHE_WRITE], changed[CACHE_WRITE_1H] = writes - hour, amounts[CACHE_WRITE_1H] + hour
    return tuple(changed)


def _split(amounts: tuple[int, ...], rates: Rates, reported_cost: Decimal) -> int | None:
    """How many of the writes are for an hour at these rates; None when no number of them gives the reported cost.

    Costs of six decimals or fewer count as rounded to the micro-dollar (coding agents report them so), others must be
    met to the picodollar.
    """
    by_bucket = {index: rate for index, _, rate in rates.lines}
    step = by_bucket.get(CACHE_WRITE_1H, 0) - by_bucket.get(CACHE_WRITE, 0)
    if step <= 0:
        return None
    reported = int(reported_cost * PICODOLLARS_PER_USD)
    missing = reported * rates.denominator - sum(amounts[index] * rate for index, rate in by_bucket.items())
    hour = nearest(missing, step)
    if not 0 <= hour <= amounts[CACHE_WRITE] or abs(missing - hour * step) > _tolerance(reported) * rates.denominator:
        return None
    return hour


def _tolerance(reported: int) -> int:
    """Picodollars by which an amount may differ from the number it is reported as."""
    return 1 if reported % PICODOLLARS_PER_MICRODOLLAR else PICODOLLARS_PER_MICRODOLLAR // 2
