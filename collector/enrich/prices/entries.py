"""One price entry: the library's for a model, or an override. Each gives the tariff in force at an instant."""

import dataclasses
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TimeOfDateConstraint
from genai_prices.types import Usage as LibraryUsage

from collector.config import PriceOverride
from collector.enrich.prices.factors import OTHER, Factor, factors, known_tiers, tier_word
from collector.enrich.prices.rates import PER_HOUR, PER_REQUEST, PRICE_KEYS, Rates, Tariff, tariff

Array = np.ndarray[Any, Any]

_DAY_NS: Final = 86_400 * 10**9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_DAY: Final = 20_000


class PriceEntry:
    """What the price library knows about one model at one provider.

    The library has: prices per token, request, search and page; tiers by context size that apply to the whole request;
    changes by date and by time of day (UTC); and variants by service tier (OpenAI and Google: flex, priority, fast),
    batch processing (Anthropic, Google, Groq, Mistral, OpenAI, xAI) and speed (Anthropic: fast), which hold only where
    the provider itself lists the model. Variants by search type and route are left at their standard price: spans do
    not tell them. Between two changes a price is compiled once.

    Tiers and regions the library does not know may be among `factors`. A tier that has a price in neither leaves the
    standard one, with a question mark in the reference.
    """

    __slots__ = ("_changes", "_days", "_tariffs", "_times", "factors", "model", "provider", "tiers", "version")

    def __init__(self, provider: Provider, model: ModelInfo, version: str) -> None:
        self.provider, self.model, self.version = provider, model, version
        variants = (model.price_variants or ()) if any(model is listed for listed in provider.models) else ()
        listed = {value for variant in variants for key, value in variant.when.items() if key in _TIER_KEYS}
        self.tiers = frozenset(filter(tier_word, listed))
        self.factors = factors().concerning(provider.id, model.id)
        conditional = [] if isinstance(model.prices, ModelPrice) else model.prices
        constraints = [c.constraint for c in (*conditional, *variants) if c.constraint is not None]
        dates = {c.start_date for c in constraints if isinstance(c, StartDateConstraint)}
        self._changes = sorted(dates)
        dates |= {day for factor in self.factors for day in (factor.since, factor.until) if day is not None}
        self._days = sorted((day - _EPOCH.date()).days for day in dates)
        self._times = sorted(
            {_of_day(t) for c in constraints if isinstance(c, TimeOfDateConstraint) for t in (c.start_time, c.end_time)}
        )
        self._tariffs: dict[tuple[int, int, str, str], Tariff | None] = {}

    @property
    def name(self) -> str:
        """The one name of the model, `provider/model`, whatever it was called by."""
        return f"{self.provider.id}/{self.model.id}"

    def tariff(self, at: int, tier: str = "", region: str = "") -> Tariff | None:
        """The price at `at` (Unix ns) in a tier (as `tier_word` has it) and a region (as `region_factors` has it).

        None when the library lists the model without any price, or with one that cannot be used.
        """
        day, of_day = divmod(at, _DAY_NS)
        key = (
            bisect_right(self._days, day) if self._days else 0,
            bisect_right(self._times, of_day) if self._times else 0,
            tier if not tier or tier in known_tiers() or tier in self.tiers else OTHER,
            region if region and self.factors else "",
        )
        try:
            return self._tariffs[key]
        except KeyError:
            found = self._tariffs[key] = self._compile(*key)
            return found

    def tariffs(self, at: Array, tier: str = "", region: str = "") -> Iterator[tuple[Array, Tariff]]:
        """What `tariff` says of each instant of an int64 array: the instants that share a tariff, and that tariff."""
        if not self._days and not self._times:
            if found := self.tariff(0, tier, region):
                yield np.ones(len(at), np.bool_), found
            return
        days = np.searchsorted(np.array(self._days, np.int64), at // _DAY_NS, "right")
        parts = np.searchsorted(np.array(self._times, np.int64), at % _DAY_NS, "right")
        periods = days * (len(self._times) + 1) + parts
        for period in np.unique(periods).tolist():
            alike = periods == period
            if found := self.tariff(int(at[alike.argmax()]), tier, region):
                yield alike, found

    def changes(self) -> list[date]:
        """The dates on which a price of this model starts."""
        return self._changes

    def _compile(self, period: int, part: int, tier: str, region: str) -> Tariff | None:
        try:
            prices = self._prices(period, part, tier)
            prices.calc_price(LibraryUsage())  # the library's own check that the prices fit together
            known = {key: price for key, price in vars(prices).items() if price is not None}
            if not known and not self.model.id.endswith(":free"):
                return None
            found = tariff(known or _FREE, self._ref(period, part, tier))
        except (ValueError, IndexError, OverflowError):
            return None
        for factor in self._applying(period, part, tier, region):
            found = found.scaled(factor.factor, factor.label)
        return found

    def _applying(self, period: int, part: int, tier: str, region: str) -> list[Factor]:
        """The factors of a region, and of a tier the library has no price for."""
        day, regions = self._start(period, part).date(), region.split()
        unlisted = "" if tier in self.tiers else tier
        return [
            factor
            for factor in self.factors
            if factor.in_force(day) and (factor.name in regions or unlisted in factor.tiers)
        ]

    def _prices(self, period: int, part: int, tier: str) -> ModelPrice:
        """The library's prices between two changes, asked at the first instant of the period."""
        context = dict.fromkeys(_TIER_KEYS, tier) if tier else None
        found = self.model.get_prices(self._start(period, part), context)
        return ModelPrice(**{key: price for key, price in vars(found).items() if key in PRICE_KEYS})

    def _start(self, period: int, part: int) -> datetime:
        before_all = self._days[0] - 1 if self._days else _ANY_DAY
        day = self._days[period - 1] if period else before_all
        of_day = self._times[part - 1] if part else 0
        return _EPOCH + timedelta(days=day, microseconds=of_day // 1000)

    def _ref(self, period: int, part: int, tier: str) -> str:
        """`VERSION:PROVIDER/MODEL`, then `@` when the price began, `+` the tier, as far as they made a difference.

        `+TIER?` is a tier without a price.
        """
        prices = self._prices(period, part, tier)
        suffix = f"+{tier}" if tier else ""
        if tier and prices == self._prices(period, part, ""):
            priced = any(tier in factor.tiers for factor in self._applying(period, part, tier, ""))
            suffix = "" if priced else f"+{tier}?"
        while period and prices == self._prices(period - 1, part, tier):
            period -= 1
        start = self._start(period, part)
        when = start.strftime("%Y-%m-%d") if period else ""
        when += start.strftime("T%H:%M") if self._times else ""
        return f"{self.version}:{self.name}{'@' + when if when else ''}{suffix}"


# One word per span names the tier; the library files it under one of these.
_TIER_KEYS: Final = ("service_tier", "processing", "speed")
_FREE: Final = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}


def _of_day(value: time) -> int:
    """Nanoseconds since midnight UTC; a time without a zone is UTC."""
    moment = datetime.combine(_EPOCH.date(), value)
    utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return ((utc.hour * 60 + utc.minute) * 60 + utc.second) * 10**9 + utc.microsecond * 1000


@dataclass(frozen=True, slots=True)
class Override:
    """A price from the configuration, compiled."""

    provider: str | None
    service_tier: str | None
    matches: Callable[[str], object]
    input_above: int
    start: int | None
    end: int | None
    # Its own price; or None, then `factor` multiplies the listed one and `label` goes to the reference.
    rates: Rates | None
    factor: Decimal
    label: str
    # The lower-case name it prices for itself; "" when it is for several, or changes the listed price.
    own_name: str = ""
    # The lower-case model of the setting, and how it is compared.
    model: str = ""
    match: str = "exact"

    @classmethod
    def of(cls, setting: PriceOverride) -> "Override":
        name = setting.name or setting.model
        start, end = _instant(setting.effective_from), _instant(setting.effective_until)
        since = "" if setting.effective_from is None else f"@{setting.effective_from.isoformat()}"
        return cls(
            provider=setting.provider and setting.provider.strip().lower(),
            service_tier=None if setting.service_tier is None else tier_word(setting.service_tier),
            matches=_matcher(setting),
            input_above=setting.input_above,
            start=start,
            end=end,
            rates=None
            if setting.factor
            else _own(tariff(_override_prices(setting), f"override:{name}{since}").rates(0)),
            factor=setting.factor or Decimal(1),
            own_name="" if setting.factor or setting.match != "exact" else setting.model.strip().lower(),
            model=setting.model.strip().lower(),
            match=setting.match,
            label=f"*{setting.factor or 1:f}(override:{name}{since})",
        )

    def applied(self, listed: Rates | None) -> Rates | None:
        """The rates of a call it holds for, given those that are listed."""
        if self.rates:
            return self.rates
        return _own(listed.scaled(self.factor, self.label, only_tokens=False)) if listed else None

    def hold(self, at: Array, tier: str, input_tokens: Array) -> Array:
        """`holds` for each element of two int64 arrays."""
        chosen = input_tokens > self.input_above
        if self.start is not None:
            chosen &= at >= self.start
        if self.end is not None:
            chosen &= at < self.end
        return chosen & (self.service_tier is None or self.service_tier == tier)

    def holds(self, at: int, tier: str, input_tokens: int) -> bool:
        """Whether it prices a call of this time, tier and size."""
        return (
            (self.start is None or self.start <= at)
            and (self.end is None or at < self.end)
            and (self.service_tier is None or self.service_tier == tier)
            and input_tokens > self.input_above
        )


def _own(rates: Rates) -> Rates:
    return dataclasses.replace(rates, overrides=True)


def _override_prices(setting: PriceOverride) -> dict[str, Decimal | None]:
    """By the library's price keys; what is not set falls to the enclosing price when it is compiled."""
    by_time_or_call = setting.input is None or setting.output is None
    return {
        "input_mtok": Decimal(0) if by_time_or_call else setting.input,
        "output_mtok": Decimal(0) if by_time_or_call else setting.output,
        "cache_read_mtok": setting.cache_read,
        "cache_write_mtok": setting.cache_write,
        "cache_write_1h_mtok": setting.cache_write_1h,
        "output_reasoning_mtok": setting.reasoning,
        "input_audio_mtok": setting.input_audio,
        "cache_audio_read_mtok": next(
            (p for p in (setting.cache_audio_read, setting.input_audio, setting.cache_read) if p is not None), None
        ),
        "output_audio_mtok": setting.output_audio,
        PER_REQUEST: setting.per_request,
        PER_HOUR: setting.per_hour,
    }


def _matcher(setting: PriceOverride) -> Callable[[str], object]:
    """A test of a lower-case model name."""
    if setting.match == "regex":
        return re.compile(setting.model, re.IGNORECASE).fullmatch
    wanted = setting.model.strip().lower()
    return wanted.__eq__ if setting.match == "exact" else lambda name: name.startswith(wanted)


def _instant(when: date | None) -> int | None:
    if when is None:
        return None
    moment = when if isinstance(when, datetime) else datetime.combine(when, time())
    since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
