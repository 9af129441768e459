"""Service tiers and regions: the words for them, and the factors by which they change a listed price.

`schema/prices/factors.yaml` has them as data, each with its source and its dates.
"""

import functools
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from collector.errors import ConfigError
from collector.schema import schema_root

# Hosts and tiers are the sender's words: of each this many are remembered, longer ones are nobody's.
_MAX_REMEMBERED: Final = 4096
_MAX_LENGTH: Final = 256

STANDARD: Final = "standard"
# What a tier without a known word is called in a reference.
OTHER: Final = "other"


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class Factor(BaseModel):
    """One factor. It holds for a call whose model, day, and region or tier it names (see the file)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: str
    about: str
    factor: Decimal = Field(gt=0, le=100)
    providers: tuple[str, ...]
    models: tuple[Pattern, ...] = (".*",)
    exceptions: tuple[Pattern, ...] = Field((), alias="except")
    regions: tuple[Pattern, ...] = ()
    tiers: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    source: str
    checked: date

    @property
    def label(self) -> str:
        """How a reference shows it; empty when it changes nothing."""
        return "" if self.factor == 1 else f"*{self.factor.normalize():f}({self.name})"

    def concerns(self, provider: str, model: str) -> bool:
        """Whether it is about this model of the price library."""
        return provider in self.providers and _matches(self.models, model) and not _matches(self.exceptions, model)

    def in_force(self, day: date) -> bool:
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


class FactorTable(BaseModel):
    """The file: the words of tiers, and the factors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tiers: dict[str, tuple[str, ...]]
    factors: tuple[Factor, ...]

    def concerning(self, provider: str, model: str) -> tuple[Factor, ...]:
        """The factors about one model of the price library."""
        return tuple(factor for factor in self.factors if factor.concerns(provider, model))


@functools.cache
def factors() -> FactorTable:
    """The table of the schema folder. Raises ConfigError when the file cannot be used."""
    path = schema_root() / "prices" / "factors.yaml"
    try:
        return FactorTable.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path} cannot be used: {error}") from None


@functools.cache
def _tier_words() -> dict[str, str]:
    words = {alias: word for word, aliases in factors().tiers.items() for alias in (word, *aliases)}
    return {alias: "" if word == STANDARD else word for alias, word in words.items()}


@functools.cache
def known_tiers() -> frozenset[str]:
    """The words of tiers that have a meaning, without the standard one."""
    return frozenset(_tier_words().values()) - {""}


def tier_word(sent: str) -> str:
    """The one word for a tier as sent: empty for the standard one, an unknown one in lower case."""
    if not sent:
        return ""
    word = sent.strip().lower()
    return _tier_words().get(word, word)


def region_factors(sent: str) -> str:
    """The names of the factors, separated by spaces, whose regions include a host, geography or location as sent."""
    return _region_factors(sent) if 0 < len(sent) <= _MAX_LENGTH else ""


@functools.lru_cache(maxsize=_MAX_REMEMBERED)
def _region_factors(sent: str) -> str:
    place = re.sub(r"^[a-z]+://|[:/].*$", "", sent.strip().lower())
    return " ".join(factor.name for factor in factors().factors if _matches(factor.regions, place))


def _matches(patterns: Iterable[str], text: str) -> bool:
    return any(re.fullmatch(pattern, text, re.IGNORECASE) for pattern in patterns)
