"""Prices as text: what `spanmeter prices list`, `show` and `check` print."""

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from typing import Final

import yaml

from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.entries import PriceEntry
from collector.enrich.prices.rates import TOKENS, Rates
from collector.model.money import PICODOLLARS_PER_USD

_SHORT: Final = ("input", "output", "cache_read", "cache_write")
_DIGITS: Final = Context(prec=12)
_OTHER_UNITS: Final = {"time": ("hour", 3600 * 10**9), "request": ("call", 1)}


def listing(catalogue: Catalogue, at: int, word: str = "") -> Iterator[str]:
    """One line per model of the library whose `provider/model` contains `word`: its price at `at` (Unix ns)."""
    yield "# USD per million tokens; * has more prices (tiers, context sizes, other buckets): `spanmeter prices show`"
    for entry in catalogue.entries():
        name = f"{entry.provider.id}/{entry.model.id}"
        if word.lower() not in name.lower():
            continue
        tariff = entry.tariff(at)
        if tariff is None:
            yield f"{name}  no price"
            continue
        amounts = {bucket: amount for bucket, amount, _ in _amounts(tariff.rates(0))}
        parts = [f"{bucket} {amounts[bucket]}" for bucket in _SHORT if bucket in amounts]
        more = entry.tiers or len(tariff.bands) > 1 or amounts.keys() - TOKENS
        yield f"{name}  {'  '.join(parts)}{' *' if more else ''}"


def show(catalogue: Catalogue, provider: str, model: str, at: int) -> list[str]:
    """Everything that decides what a call of a model costs at `at`: overrides, tiers, context sizes, dates."""
    lines = []
    if override := catalogue.override(provider, model, at, "", 0):
        lines += _table(override)
    entry = catalogue.entry(provider, model)
    if entry is None:
        return lines or [f"{model}: no price is known.", *suggestion(provider, model)]
    for tier in ("", *sorted(entry.tiers)):
        tariff = entry.tariff(at, tier)
        if tariff is None:
            lines.append(f"{entry.provider.id}/{entry.model.id} is listed in {entry.version}, without a price.")
        elif not tier or (f"+{tier}" in tariff.rates(0).ref and f"+{tier}?" not in tariff.rates(0).ref):
            lines += [line for _, rates in reversed(tariff.bands) for line in _table(rates)]
    lines += _factors(entry)
    if changes := entry.changes():
        lines.append("changes: " + ", ".join(map(str, changes)))
    return lines


def _factors(entry: PriceEntry) -> list[str]:
    """What multiplies the price of a model, with the dates and the source of each."""
    lines = ["factors:"] if entry.factors else []
    for factor in entry.factors:
        since = f" since {factor.since}" if factor.since else ""
        until = f" until {factor.until}" if factor.until else ""
        lines.append(f"  {factor.factor.normalize():f} {factor.name}: {factor.about}{since}{until} ({factor.source})")
    return lines


def suggestion(provider: str, model: str) -> list[str]:
    """The override to paste for a model that has no price; the zeros are to be replaced, or kept if it is free."""
    override = {"model": model, **({"provider": provider} if provider else {}), "input": 0, "output": 0}
    text = yaml.safe_dump({"pricing": {"overrides": [override]}}, sort_keys=False, allow_unicode=True)
    return text.rstrip().split("\n")


def unpriced(seen: Iterable[tuple[str, str, int]]) -> list[str]:
    """The report on models that were called and have no price: (provider, model, calls)."""
    found = [(provider, model, calls) for provider, model, calls in seen if model]
    if not found:
        return ["Every model seen has a price."]
    lines = ["# No price is known for these models; replace the zeros (USD per million tokens; 0 is free).", "pricing:"]
    lines.append("  overrides:")
    for provider, model, calls in found:
        lines.append(f"    # {calls} calls")
        lines += [f"  {line}" for line in suggestion(provider, model)[2:]]
    return lines


def _table(rates: Rates) -> list[str]:
    """The reference and every bucket whose rate is not simply that of the bucket around it."""
    amounts = {bucket: (amount, unit) for bucket, amount, unit in _amounts(rates)}
    own = {bucket: amount for bucket, amount in amounts.items() if amount != amounts.get(_around(bucket))}
    return [rates.ref, *(f"  {bucket:<18} {amount} USD per {unit}" for bucket, (amount, unit) in own.items())]


def _around(bucket: str) -> str:
    if bucket == "cache_write_1h":
        return "cache_write"
    if bucket in {"cache_audio_read", "cache_image_read"}:
        return "cache_read"
    if bucket in {"input", "output"} or bucket not in TOKENS:
        return ""
    return "input" if bucket.startswith(("input", "cache")) else "output"


def _amounts(rates: Rates) -> Iterator[tuple[str, str, str]]:
    """(bucket, USD, unit) of each rate."""
    for _, bucket, rate in rates.lines:
        unit, times = ("million tokens", 10**6) if bucket in TOKENS else _OTHER_UNITS.get(bucket, ("piece", 1))
        amount = _DIGITS.divide(Decimal(rate * times), Decimal(rates.denominator * PICODOLLARS_PER_USD))
        yield bucket, f"{amount.normalize(_DIGITS):f}", unit
