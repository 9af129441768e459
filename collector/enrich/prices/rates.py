"""What is billed, and the exact rate of each bucket: integers over a common denominator, compiled once per price."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
from genai_prices.data_units import unit_data
from genai_prices.types import TieredPrices

from collector.enrich.units import COUNTED, DIMENSIONS, PARTS, split, token_units
from collector.model.money import PICODOLLARS_PER_USD
from collector.model.usage import Usage

Array = np.ndarray[Any, Any]

# Two prices of our own beside the library's price keys: USD per request, USD per hour of the span.
PER_REQUEST: Final = "per_request"
PER_HOUR: Final = "per_hour"

# Each bucket of a receipt and the library's unit with that meaning.
_TOKEN_UNITS: Final = token_units()
_PAGES: Final = "input_document_pages"
_SECONDS: Final = "audio_seconds"
# What is counted both as a whole and in parts.
_WHOLES: Final = {
    _PAGES: ("input_annotated_document_pages",),
    _SECONDS: ("input_audio_seconds", "output_audio_seconds"),
}
_UNITS: Final = {**_TOKEN_UNITS, **{key: key for key in COUNTED}}

TOKENS: Final = frozenset(_TOKEN_UNITS)
MEASURED: Final = tuple(_UNITS)
BUCKETS: Final = (*MEASURED, "request", "time")

_BY_PRICE_KEY: Final[Mapping[str, tuple[str, int]]] = {
    unit["price_key"]: (key, unit["per"]) for key, unit in unit_data.items()
}
PRICE_KEYS: Final = frozenset(_BY_PRICE_KEY)
_KNOWN: Final = PRICE_KEYS | {PER_REQUEST, PER_HOUR}
_HOUR_NS: Final = 3600 * 10**9
_HIGHEST_PRICE: Final = 10**9


@dataclass(frozen=True, slots=True)
class Rates:
    """The coefficients of one price, for requests of one context size.

    `lines` holds (index into BUCKETS, name, rate) for every bucket that has a price of its own or of the unit that
    encloses it; a rate is in picodollars times `denominator`. `needs_usage`: without usage the cost is not known.
    `overrides`: an override of the configuration says so, not the library.
    """

    ref: str
    lines: tuple[tuple[int, str, int], ...]
    denominator: int
    needs_usage: bool
    overrides: bool = False

    def scaled(self, factor: Decimal, label: str, *, only_tokens: bool = True) -> "Rates":
        """These rates multiplied by `factor`, those of anything but tokens too unless `only_tokens`."""
        exact = Fraction(factor)
        other = exact.denominator if only_tokens else exact.numerator
        lines = [
            (index, name, rate * (exact.numerator if name in TOKENS else other)) for index, name, rate in self.lines
        ]
        denominator = self.denominator * exact.denominator
        common = math.gcd(denominator, *(rate for _, _, rate in lines))
        reduced = tuple((index, name, rate // common) for index, name, rate in lines)
        return Rates(self.ref + label, reduced, denominator // common, self.needs_usage)


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price with its tiers by context size: a request whose whole input exceeds a threshold pays that band's rates
    for every token. Bands are ordered from the highest threshold to the one that always holds (-1)."""

    bands: tuple[tuple[int, Rates], ...]

    def rates(self, input_tokens: int) -> Rates:
        return next(rates for above, rates in self.bands if input_tokens > above)

    def apply(self, input_tokens: Array) -> Iterator[tuple[Array, Rates]]:
        """What `rates` says of each element of an int64 array: the elements in a band, and its rates."""
        left = np.ones(len(input_tokens), np.bool_)
        for above, rates in self.bands:
            band = left & (input_tokens > above)
            left &= ~band
            yield band, rates

    def scaled(self, factor: Decimal, label: str, *, only_tokens: bool = True) -> "Tariff":
        """This price multiplied by `factor`; `label` goes to the reference."""
        return Tariff(
            tuple((above, rates.scaled(factor, label, only_tokens=only_tokens)) for above, rates in self.bands)
        )


def quantities(usage: Usage, duration_ns: int) -> tuple[int, ...]:
    """How much of each of BUCKETS a call used.

    Buckets are disjoint: the parts of input (of output) add up to `input_tokens` (`output_tokens`) exactly. Parts that
    claim more than their total are cut (`units.split`).
    """
    if not usage.details and not usage.input_audio_tokens and not usage.output_audio_tokens:
        read, write, hour = usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
        plain, written = usage.input_tokens - read - write, usage.output_tokens - usage.reasoning_tokens
        if plain >= 0 and written >= 0 and hour <= write:  # nearly every call; what follows comes to the same
            inside = plain, read, write - hour, hour, *_NO_OTHER_INPUT, written, usage.reasoning_tokens
            return (*inside, *_NOTHING, 1, max(duration_ns, 0))
    return _quantities(usage, usage.details, duration_ns)


_NO_OTHER_INPUT: Final = (0,) * (BUCKETS.index("output") - 4)
_NOTHING: Final = (0,) * (len(_UNITS) - len(_NO_OTHER_INPUT) - 6)


def _quantities(usage: Usage, details: Mapping[str, int], duration_ns: int) -> tuple[int, ...]:
    counts = {key: max(details.get(key, 0), 0) for key in (*PARTS, *COUNTED)}
    counts["cache_read_tokens"] = usage.cache_read_tokens
    counts["cache_write_tokens"] = usage.cache_write_tokens
    counts["cache_write_1h_tokens"] = usage.cache_write_1h_tokens
    counts["output_reasoning_tokens"] = usage.reasoning_tokens
    counts["input_audio_tokens"] = usage.input_audio_tokens
    counts["cache_audio_read_tokens"] = usage.cache_audio_read_tokens
    counts["output_audio_tokens"] = usage.output_audio_tokens
    amounts = split(counts, {"input": usage.input_tokens, "output": usage.output_tokens})
    for whole, parts in _WHOLES.items():
        counts[whole] = max(counts[whole] - sum(counts[part] for part in parts), 0)
    amounts |= {key: counts[key] for key in COUNTED}
    requests = max(details.get("requests", 1), 1)
    return (*(amounts[name] for name in MEASURED), requests, max(duration_ns, 0))


def tariff(prices: Mapping[str, Any], ref: str) -> Tariff:
    """Compile prices in USD, by price key of the library or PER_REQUEST or PER_HOUR, to exact coefficients.

    A bucket without a price takes that of the most specific priced unit that encloses it, as the library does. Keys
    this version of the library does not know are ignored. Raises ValueError for a price that is not a sane amount.
    """
    known = {key: price for key, price in prices.items() if price is not None and key in _KNOWN}
    thresholds = sorted(
        {tier.start for price in known.values() if isinstance(price, TieredPrices) for tier in price.tiers},
        reverse=True,
    )
    return Tariff(
        (
            *((above, _rates(_band(known, above), f"{ref}>{above}")) for above in thresholds),
            (-1, _rates(_band(known, -1), ref)),
        )
    )


def _band(prices: Mapping[str, Any], above: int) -> dict[str, Decimal]:
    """The prices of requests larger than `above`: of its tiers (ascending), the last that starts no later."""
    flat = {}
    for key, price in prices.items():
        if isinstance(price, TieredPrices):
            started = [tier.price for tier in price.tiers if tier.start <= above]
            flat[key] = started[-1] if started else price.base
        else:
            flat[key] = price
    return flat


def _rates(prices: Mapping[str, Decimal], ref: str) -> Rates:
    units: dict[str, Fraction] = {}
    for key, price in prices.items():
        if key in _BY_PRICE_KEY:
            unit, per = _BY_PRICE_KEY[key]
            units[unit] = _pico(price, per)
    exact: dict[str, Fraction] = {}
    for bucket, meaning in _UNITS.items():
        enclosing = [unit for unit in units if DIMENSIONS[unit] <= DIMENSIONS[meaning]]
        if enclosing:
            exact[bucket] = units[max(enclosing, key=lambda unit: len(DIMENSIONS[unit]))]
    needs_usage = any(exact.values()) or not exact
    if "requests" in units:
        exact["request"] = units["requests"]
    if PER_REQUEST in prices:
        exact["request"] = _pico(prices[PER_REQUEST], 1)
    if PER_HOUR in prices:
        exact["time"] = _pico(prices[PER_HOUR], _HOUR_NS)
    denominator = math.lcm(*(rate.denominator for rate in exact.values()))
    lines = tuple((index, name, int(exact[name] * denominator)) for index, name in enumerate(BUCKETS) if name in exact)
    return Rates(ref, lines, denominator, needs_usage)


def _pico(price: Decimal, per: int) -> Fraction:
    """USD for `per` units as picodollars per unit."""
    if not price.is_finite() or price < 0 or price > _HIGHEST_PRICE or (price and price.adjusted() < -30):
        raise ValueError(f"{price!s:.40} is not a price in USD")
    return Fraction(price) * PICODOLLARS_PER_USD / per
