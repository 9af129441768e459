"""The price of one model call, and its receipt."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from collector.enrich.prices.catalogue import Catalogue
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
) -> Priced:
    """What one model call costs; pure, and never raises on what a span may say.

    Overrides come before the library, and of each the response model before the request model. `at` is the start of
    the span in Unix nanoseconds, `service_tier` the one word for flex, priority, fast or batch ("" is standard).
    Without usage the status is `no_usage`, unless the price does not depend on it (free, per request, per hour); the
    same holds when nothing that was used has a price, and for usage that would cost a million dollars or more.
    A part of the usage that nothing prices (output of an embedding model) costs nothing, as in the library.
    """
    counted = usage or _NO_USAGE
    amounts = quantities(counted, duration_ns)
    rates = _find(catalogue, provider, (response_model, request_model), at, service_tier, counted.input_tokens)
    if rates is None:
        return _UNKNOWN if any(amounts[: len(MEASURED)]) else _UNUSED
    shares = {name: amounts[index] * rate for index, name, rate in rates.lines if amounts[index]}
    if rates.needs_usage and next(iter(shares), "request") in _UNMEASURED:  # these two come last
        return Priced(None, _NO_LINES, PriceStatus.NO_USAGE, rates.ref)
    cost, details = apportion(shares, rates.denominator)
    if not fits(cost):
        return Priced(None, _NO_LINES, PriceStatus.NO_USAGE, rates.ref)
    return Priced(cost, details, PriceStatus.PRICED, rates.ref)


def charged(priced: Priced, usage: Usage | None, reported_cost: Decimal | None) -> Priced:
    """What a call is charged, given what its price says: the rules that hold whichever way a call was priced.

    A price per request must not fall on every span that mentions the request: without usage only a price of 0 is
    known. A call of an unknown model costs what its instrumentation reports, where it does.
    """
    if usage is None and priced.cost != 0:
        return _UNUSED
    if priced.status is PriceStatus.UNKNOWN_MODEL and reported_cost is not None:
        return Priced(int(reported_cost * PICODOLLARS_PER_USD), _NO_LINES, PriceStatus.REPORTED, "")
    return priced


_UNMEASURED = frozenset({"request", "time"})


def _find(
    catalogue: Catalogue, provider: str, models: tuple[str, str], at: int, service_tier: str, input_tokens: int
) -> Rates | None:
    tier = service_tier.strip().lower() if service_tier else ""
    for look in (catalogue.override, catalogue.listed) if catalogue.has_overrides else (catalogue.listed,):
        for model in models:
            if model and (rates := look(provider, model, at, tier, input_tokens)):
                return rates
    return None
