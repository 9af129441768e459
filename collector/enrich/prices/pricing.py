"""The price of one model call, and its receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.factors import region_factors, tier_word
from collector.enrich.prices.lifetimes import CACHE_WRITE, hour_writes
from collector.enrich.prices.rates import MEASURED, Rates, quantities
from collector.model.money import PICODOLLARS_PER_USD, PriceStatus, apportion, fits
from collector.model.usage import Usage

_NO_USAGE = Usage()
_NO_LINES: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Priced:
    """A cost in picodollars with its lines by bucket, which add up to it exactly; or no cost, and why.

    `ref` names the price entry and its version, also when usage was missing: `genai-prices/0.2.3:openai/gpt-4o-mini`,
    then as needed `@DATE` it began, `+TIER`, `>TOKENS` of context; or `override:NAME@DATE`.
    """

    cost: int | None
    details: Mapping[str, int]
    status: PriceStatus
    ref: str


_UNKNOWN = Priced(None, _NO_LINES, PriceStatus.UNKNOWN_MODEL, "")
_UNUSED = Priced(None, _NO_LINES, PriceStatus.NO_USAGE, "")


def price(
    catalogue: Catalogue,
    *,
    provider: str,
    request_model: str,
    response_model: str,
    usage: Usage | None,
    at: int,
    duration_ns: int = 0,
    service_tier: str = "",
    region: str = "",
    reported_cost: Decimal | None = None,
    knows_cache_lifetime: bool = True,
) -> Priced:
    """What one model call costs; pure, and never raises on what a span may say.

    Overrides come before the library, and of each the response model before the request model. `at` is the start of
    the span in Unix nanoseconds, `service_tier` the one word for flex, priority, fast or batch ("" is standard),
    `region` the host, geography or location that served it, as far as it is known.
    Without usage the status is `no_usage`, unless the price does not depend on it (free, per request, per hour); the
    same holds when nothing that was used has a price, and for usage that would cost a million dollars or more.
    A part of the usage that nothing prices (output of an embedding model) costs nothing, as in the library.
    When the usage does not tell what was cached for an hour, `reported_cost` (USD) may, which senders work out at
    listed rates: see `hour_writes`.
    """
    counted = usage or _NO_USAGE
    amounts = quantities(counted, duration_ns)
    asked = provider, (response_model, request_model), at, service_tier, region, counted.input_tokens
    rates = _find(catalogue, *asked)
    if rates is None:
        return _UNKNOWN if any(amounts[: len(MEASURED)]) else _UNUSED
    if reported_cost and not knows_cache_lifetime and amounts[CACHE_WRITE]:
        listed = _find(catalogue, *asked, overrides=False) if rates.overrides else None
        amounts = hour_writes(amounts, (listed, rates) if listed else (rates,), reported_cost)
    shares = {name: amounts[index] * rate for index, name, rate in rates.lines if amounts[index]}
    if rates.needs_usage and next(iter(shares), "request") in _UNMEASURED:  # these two come last
        return Priced(None, _NO_LINES, PriceStatus.NO_USAGE, rates.ref)
    cost, details = apportion(shares, rates.denominator)
    if not fits(cost):
        return Priced(None, _NO_LINES, PriceStatus.NO_USAGE, rates.ref)
    return Priced(cost, details, PriceStatus.PRICED, rates.ref)


def charged(priced: Priced, usage: Usage | None, reported_cost: Decimal | None, *, free: bool = False) -> Priced:
    """What a call is charged, given what its price says: the rules that hold whichever way a call was priced.

    A price per request must not fall on every span that mentions the request: without usage only a price of 0 is
    known. A call of an unknown model costs what its instrumentation reports, where it does: 0 only when something
    states that it is `free`, because libraries that know no price report 0 as well.
    """
    if usage is None and priced.cost != 0:
        return _UNUSED
    if priced.status is PriceStatus.UNKNOWN_MODEL and (reported_cost or (reported_cost is not None and free)):
        return Priced(int(reported_cost * PICODOLLARS_PER_USD), _NO_LINES, PriceStatus.REPORTED, "")
    return priced


_UNMEASURED = frozenset({"request", "time"})


def _find(
    catalogue: Catalogue,
    provider: str,
    models: tuple[str, str],
    at: int,
    service_tier: str,
    region: str,
    input_tokens: int,
    *,
    overrides: bool = True,
) -> Rates | None:
    tier, place = tier_word(service_tier), region_factors(region)
    overridden = overrides and catalogue.has_overrides
    for look in (catalogue.override, catalogue.listed) if overridden else (catalogue.listed,):
        for model in models:
            if model and (rates := look(provider, model, at, tier, input_tokens, place)):
                return rates
    return None
