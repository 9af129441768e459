"""The price catalogue: from (provider, model, time, tier, size) to exact rates, and which entry they come from."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import genai_prices
import numpy as np
from genai_prices.data import providers as bundled_providers
from genai_prices.data_snapshot import find_provider_by_id
from genai_prices.types import Provider, _providers_from_raw

from collector.config import PricingConfig
from collector.enrich.prices.entries import Override, PriceEntry
from collector.enrich.prices.factors import tier_word
from collector.enrich.prices.model_names import FREE, LATEST, MAX_NAME, provider_spellings, self_hosted, spellings
from collector.enrich.prices.rates import Rates

Array = np.ndarray[Any, Any]

# Names come from clients: what was looked up is remembered, but not without end.
_MAX_REMEMBERED: Final = 8192


@dataclass(frozen=True, slots=True)
class _Known:
    """What one (provider, model) comes to, whatever the time: overrides that match by name, and the library's entry."""

    overrides: tuple[Override, ...]
    entry: PriceEntry | None
    name: str


class Catalogue:
    """Every price there is. Immutable but for what it remembers of earlier questions; replaced as a whole on refresh.

    A model's entry is found like this, and the first hit wins:

    1. `aliases` replace the name (the whole, or what follows its last `/`).
    2. For each spelling of the name (`names.spellings`: literal, without its date, behind each prefix), the library's
       own matching at the provider the prefix names, at the provider the span names, then at the vendor the library
       derives from the model name. The library lets some providers fall back to others (Azure to OpenAI, ...).
    3. Any provider that lists exactly this name. Several with different prices, and nothing says which: unknown.
    4. The same without `-latest`, which nobody lists for most models.

    A provider the library does not know (`strands-agents`, `langgraph`) counts as none. What an engine people run
    themselves serves (`ollama`, `vllm`, ...) has no list price: only overrides price it.
    """

    def __init__(self, providers: Sequence[Provider], version: str, pricing: PricingConfig | None = None) -> None:
        pricing = pricing or PricingConfig()
        self.version = version
        self._pricing = pricing
        self._providers = list(providers)
        self._overrides = tuple(Override.of(setting) for setting in pricing.overrides)
        self._aliases = {name.strip().lower(): target for name, target in pricing.aliases.items()}
        self._entries: dict[tuple[str, str], PriceEntry] = {}
        self._names: dict[PriceEntry, str] = {}
        self._listed: dict[str, list[Provider]] = {}
        for provider in self._providers:
            for model in provider.models:
                self._listed.setdefault(model.id.lower(), []).append(provider)
        self._known: dict[tuple[str, str], _Known] = {}
        own = sorted(f"{override.provider}/{override.own_name}" for override in self._overrides if override.own_name)
        self.identity = f"{version} {sorted(self._aliases.items())} {own}"

    def __reduce__(self) -> "tuple[type[Catalogue], tuple[list[Provider], str, PricingConfig]]":
        """For other processes: what it is made from, and nothing that it remembers."""
        return Catalogue, (self._providers, self.version, self._pricing)

    @classmethod
    def bundled(cls, pricing: PricingConfig | None = None) -> "Catalogue":
        """The prices of the installed library."""
        return cls(bundled_providers, f"genai-prices/{genai_prices.__version__}", pricing)

    @classmethod
    def from_bytes(cls, data: bytes, pricing: PricingConfig | None = None) -> "Catalogue":
        """The prices of `data`, which is what the library's own updater fetches: its data.json, version 2.

        Pure: fetching `pricing.refresh.source` is the caller's. Raises ValueError with a sentence when `data` cannot
        replace the prices in use. The version in PriceRef is then the digest of the data.
        """
        try:
            raw = json.loads(data, parse_float=Decimal)
            if not isinstance(raw, list):
                raise TypeError("it is not a list of providers")  # noqa: TRY301 - one sentence for every reason
            found = cls(_providers_from_raw(raw), f"genai-prices/sha256-{sha256(data).hexdigest()[:12]}", pricing)
            priced = sum(entry.tariff(0) is not None for entry in found.entries())
            for provider in found._providers:
                _try_matching(provider)
        except (ValueError, TypeError, LookupError, AssertionError, RecursionError, StopIteration, re.error) as error:
            raise ValueError(f"The price data cannot be used: {str(error)[:200]}") from None
        if not priced:
            raise ValueError("The price data cannot be used: it has no price.")
        return found

    @property
    def has_overrides(self) -> bool:
        return bool(self._overrides)

    def entries(self) -> Iterator[PriceEntry]:
        """Every model of every provider of the library, in its order."""
        for provider in self._providers:
            for model in provider.models:
                yield PriceEntry(provider, model, self.version)

    def override(
        self, provider: str, model: str, at: int, tier: str, input_tokens: int, region: str = ""
    ) -> Rates | None:
        """The first override of the configuration that prices such a call; `tier` and `region` as in `listed`."""
        for override in self._find(provider, model).overrides:
            if override.holds(at, tier, input_tokens):
                listed = None if override.rates else self.listed(provider, model, at, tier, input_tokens, region)
                if rates := override.applied(listed):
                    return rates
        return None

    def listed(
        self, provider: str, model: str, at: int, tier: str, input_tokens: int, region: str = ""
    ) -> Rates | None:
        """The library's price of such a call; `tier` is a `tier_word`, `region` what `region_factors` says."""
        entry = self.entry(provider, model)
        tariff = entry.tariff(at, tier, region) if entry else None
        return tariff.rates(input_tokens) if tariff else None

    def rates(
        self, provider: str, models: Sequence[str], at: Array, service_tier: str, input_tokens: Array, region: str = ""
    ) -> tuple[Array, list[Rates]]:
        """For many calls of the same models (most believed first): the place of each one's rates in a list, or -1.

        What `override` and then `listed` say of each; `at` and `input_tokens` are int64 arrays.
        """
        tier = tier_word(service_tier)
        which = np.full(len(at), -1, np.int32)
        found: list[Rates] = []

        def take(fits: Array, rates: Rates | None) -> None:
            fits &= which < 0
            if rates and fits.any():
                which[fits] = len(found)
                found.append(rates)

        known = [self._find(provider, model) for model in models if model]
        for each in known:
            for override in each.overrides:
                holds = override.hold(at, tier, input_tokens)
                if override.rates:
                    take(holds, override.rates)
                    continue
                for fits, rates in _listed(each.entry, at, tier, input_tokens, region):
                    take(fits & holds, override.applied(rates))
        for each in known:
            for fits, rates in _listed(each.entry, at, tier, input_tokens, region):
                take(fits, rates)
        return which, found

    def entry(self, provider: str, model: str) -> PriceEntry | None:
        """The library's entry for a model; never raises, whatever the strings."""
        return self._find(provider, model).entry

    def canonical(self, provider: str, model: str) -> str:
        """The one name, `provider/model` in the library's words, of a model by any name; empty when it is unknown."""
        entry = self.entry(provider, model)
        return entry.name if entry else ""

    def model_name(self, provider: str, model: str) -> str:
        """The one name of a model, whoever sells it: as its maker's entry has it, else the seller's; "" when unknown.

        A name that an override of the configuration prices for itself stays as it was sent, unless it is one of those
        the library's model goes by (dated, behind a prefix). An alias of a model the library does not know is its
        target.
        """
        return self._find(provider, model).name

    def _find(self, provider: str, model: str) -> _Known:
        key = (provider, model)
        known = self._known.get(key)
        if known is None:
            known = self._look_up(provider, model)
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known

    def _look_up(self, provider: str, model: str) -> _Known:
        if not 0 < len(model) <= MAX_NAME or len(provider) > MAX_NAME:
            return _Known((), None, "")
        sent = model.strip().lower()
        name = self._aliases.get(sent) or self._aliases.get(sent.rpartition("/")[2]) or sent
        given = self._provider(provider)
        entry = self._search(provider, given, name)
        seller = given or (entry.provider if entry else None)
        possible = [each for each in self._overrides if self._is_provider(each.provider, provider, seller)]
        literal = [override for override in possible if any(map(override.matches, {sent, name}))]
        others = [each for each in possible if each not in literal and self._is_meant(each, provider, name, entry)]
        own = any(override.own_name in {sent, name} for override in literal)
        return _Known((*literal, *others), entry, self._name(entry, name, model, own=own))

    def _is_meant(self, override: Override, provider: str, name: str, entry: PriceEntry | None) -> bool:
        """Whether the model that an override names is the one that was sent in another spelling.

        Both are the same but for prefixes, dates and the like, and where the library lists them, one model there: a
        dated version with a price of its own is another.
        """
        ways = list(spellings(name, lambda prefix: self._provider(prefix) is not None))
        if any(self_hosted(prefix) for prefix, _ in ways):
            return False
        if override.match != "exact":
            return override.match == "prefix" and any(override.matches(spelling) for _, spelling in ways)
        if not _plain_names(override.model) & _plain_names(name):
            return False
        named = self._search(provider, self._provider(provider), override.model)
        if entry is None or named is None:
            return entry is named
        return self._makers_name(named) == self._makers_name(entry)

    def _name(self, entry: PriceEntry | None, name: str, model: str, *, own: bool) -> str:
        """What a model is called that was sent as `model`; `own`: an override prices this very name."""
        sent = model.strip()
        unlisted = sent if name == sent.lower() else name
        if entry is None:
            return "" if unlisted == sent and not own else unlisted
        if own and not _plain_names(name) & _plain_names(entry.model.id):
            return unlisted
        return self._makers_name(entry)

    def _makers_name(self, entry: PriceEntry) -> str:
        """The id of the same model at its maker, where the names tell that it is the same; else the seller's id."""
        found = self._names.get(entry)
        if found is None:
            plain = _plain_names(entry.model.id)
            makers = (
                self._match(maker, spelling)
                for prefix, spelling in _spellings_of(entry.model.id)
                for maker in (self._provider(prefix), self._vendor(spelling))
                if maker and maker is not entry.provider
            )
            same = (maker.model.id for maker in makers if maker and plain & _plain_names(maker.model.id))
            found = self._names[entry] = next(same, entry.model.id)
        return found

    def _is_provider(self, wanted: str | None, provider: str, seller: Provider | None) -> bool:
        if wanted is None or wanted == provider.strip().lower():
            return True
        return seller is not None and self._provider(wanted) is seller

    def _search(self, provider: str, given: Provider | None, name: str) -> PriceEntry | None:
        if self_hosted(provider):
            return None
        found = self._search_as_sent(given, name)
        return self._search_as_sent(given, name.removesuffix(LATEST)) if not found and name.endswith(LATEST) else found

    def _search_as_sent(self, given: Provider | None, name: str) -> PriceEntry | None:
        ways = list(spellings(name, lambda prefix: self._provider(prefix) is not None))
        for prefix, spelling in ways:
            if self_hosted(prefix):
                return None
            for candidate in (self._provider(prefix), given, self._vendor(spelling)):
                if candidate and (found := self._match(candidate, spelling)):
                    return found
        return self._only([spelling for _, spelling in ways])

    def _only(self, names: Sequence[str]) -> PriceEntry | None:
        """The entry listed under one of `names`, if everyone who lists one charges the same."""
        found = [
            entry for name in names for seller in self._listed.get(name, ()) if (entry := self._match(seller, name))
        ]
        if not found or any(entry.model.prices != found[0].model.prices for entry in found):
            return None
        return next((entry for entry in found if entry.provider.model_match is not None), found[0])

    def _match(self, provider: Provider, name: str) -> PriceEntry | None:
        model = provider.find_model(name, all_providers=self._providers)
        if model is None or (name.endswith(FREE) and not model.id.endswith(FREE)):
            return None
        return self._entries.setdefault((provider.id, model.id), PriceEntry(provider, model, self.version))

    def _provider(self, name: str) -> Provider | None:
        """The provider the library knows by `name`."""
        if not name.strip():
            return None
        found = (find_provider_by_id(self._providers, spelling) for spelling in provider_spellings(name) if spelling)
        return next(filter(None, found), None)

    def _vendor(self, name: str) -> Provider | None:
        """The provider the library names for a model when nobody else does."""
        return next((p for p in self._providers if p.model_match is not None and p.model_match.is_match(name)), None)


def _listed(
    entry: PriceEntry | None, at: Array, tier: str, input_tokens: Array, region: str
) -> Iterator[tuple[Array, Rates]]:
    """What the library's entry says of many calls: those that share rates, and these rates."""
    for chosen, tariff in entry.tariffs(at, tier, region) if entry else ():
        for band, rates in tariff.apply(input_tokens):
            yield chosen & band, rates


def _spellings_of(model_id: str) -> Iterator[tuple[str, str]]:
    """Ways to read an id of the library. It lists what Bedrock serves in one geography as `regional.`."""
    return spellings(re.sub("^regional[.]", "us.", model_id))


def _plain_names(name: str) -> set[str]:
    """The spellings of a name, without what vendors and gateways write differently: dots, and `-latest`."""
    return {spelling.replace(".", "-").removesuffix(LATEST) for _, spelling in _spellings_of(name.lower())}


def _try_matching(provider: Provider) -> None:
    """Let every pattern of a provider meet a name, so that a broken one shows before it is in use."""
    probes: list[Callable[[str], bool]] = [model.is_match for model in provider.models]
    probes += [match.is_match for match in (provider.model_match, provider.provider_match) if match is not None]
    for probe in probes:
        probe("a-model")
