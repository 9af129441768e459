"""The receipt of a stored call: how much of each bucket it used, at which rate, for which amount."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any, Final

from collector.enrich.prices.rates import BUCKETS, TOKENS, quantities
from collector.enrich.rows import AGGREGATE_FLAG, DETAIL_PARTS
from collector.model.money import PICODOLLARS_PER_USD, PriceStatus, usd_text
from collector.model.usage import Usage

_MILLION: Final = 1_000_000
_HOUR_NS: Final = 3600 * 10**9
_MAX_DECIMALS: Final = 15
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_REF: Final = re.compile(r"(?P<data>[^:]*):(?P<entry>[^@+>*]*)(?:@(?P<since>[0-9T:-]+))?(?P<terms>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Line:
    """One bucket. `rate` is USD for `per` of its unit; `quantity` and `rate` are None where the row does not tell how
    much of a shared count was this bucket's. `amount` is in picodollars."""

    bucket: str
    unit: str
    quantity: int | None
    rate: Decimal | None
    per: int
    amount: int


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """Where a price comes from: the `entry` of some `data`, in force `since` a date where it has changed; `terms` are
    what else decided: a tier, a size of context, factors."""

    data: str
    entry: str
    since: str
    terms: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The lines add up to the cost, to the picodollar. A cost that was reported has none."""

    lines: tuple[Line, ...]
    status: str
    price: PriceEntry | None

    @property
    def total(self) -> int:
        return sum(line.amount for line in self.lines)


def receipt(row: Mapping[str, Any]) -> Receipt:
    """The receipt in a row of `otel_traces` (its columns of usage, CostDetails, PriceStatus, PriceRef, Duration)."""
    used = dict(zip(BUCKETS, quantities(_usage(row), row["Duration"]), strict=True))
    amounts = {name: int(amount * PICODOLLARS_PER_USD) for name, amount in dict(row["CostDetails"]).items()}
    order = {name: at for at, name in enumerate(BUCKETS)}
    lines = [
        _line(name, used.get(name, 0), amounts[name])
        for name in sorted(amounts, key=lambda name: order.get(name, len(order)))
    ]
    return Receipt(tuple(lines), row["PriceStatus"], _price(row["PriceRef"]))


def unpriced_because(status: str) -> str:
    """Why a call has no cost, as a sentence; empty for other spans."""
    return {
        PriceStatus.UNKNOWN_MODEL: "No price is known for this model. An override of pricing.overrides gives it one.",
        PriceStatus.NO_USAGE: "The span does not tell what was used, so that there is nothing to price.",
        PriceStatus.ROLLED_UP: "Another span reports the same call, and has its cost.",
    }.get(PriceStatus(status) if status else PriceStatus.NOT_A_CALL, "")


def _usage(row: Mapping[str, Any]) -> Usage:
    details = {key: count for key, count in dict(row["UsageDetails"]).items() if key != AGGREGATE_FLAG}
    parts = {part: details.pop(name) for name, part in DETAIL_PARTS.items() if name in details}
    return Usage(
        input_tokens=row["InputTokens"],
        output_tokens=row["OutputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
        cache_write_tokens=row["CacheWriteTokens"],
        reasoning_tokens=row["ReasoningTokens"],
        details=details,
        **parts,
    )


def _line(bucket: str, quantity: int, amount: int) -> Line:
    unit, per = _unit(bucket)
    rate = _rate(quantity, amount, per) if quantity else None
    return Line(bucket, unit, quantity if rate is not None else None, rate, per, amount)


def _unit(bucket: str) -> tuple[str, int]:
    if bucket in TOKENS:
        return "tokens", _MILLION
    if bucket == "time":
        return "nanoseconds", _HOUR_NS
    return ("requests", 1) if bucket == "request" else (bucket, 1)


def _rate(quantity: int, amount: int, per: int) -> Decimal | None:
    """The shortest decimal (USD for `per` units) that gives the amount to the picodollar; None when none does."""
    exact = Fraction(amount * per, quantity * PICODOLLARS_PER_USD)
    for decimals in range(_MAX_DECIMALS + 1):
        scale = 10**decimals
        rate = Fraction(round(exact * scale), scale)
        if abs(rate * quantity * PICODOLLARS_PER_USD / per - amount) < 1:
            return _EXACT.divide(Decimal(rate.numerator), Decimal(rate.denominator))
    return None


def _price(ref: str) -> PriceEntry | None:
    found = _REF.match(ref)
    return PriceEntry(found["data"], found["entry"], found["since"] or "", found["terms"]) if found else None


def rate_text(rate: Decimal) -> str:
    """A rate in digits, at least two of them after the point."""
    whole, _, decimals = format(rate, "f").partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def amount_text(line: Line) -> str:
    """USD with twelve decimals."""
    return usd_text(line.amount)
