"""Settings of what calls cost."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from collector.config.settings import Duration, Section, Written, section, setting

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=24, decimal_places=18), Written("USD")]
Instant = date | datetime


_PRICES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio",
           "cache_audio_read", "output_audio", "per_request", "per_hour")  # fmt: skip


class PriceOverride(Section):
    """A price of your own. The first of the list that matches a call and is in force prices it, before any other."""

    name: str = setting("", "Shown in PriceRef; default: the model pattern.", max_length=100)
    model: str = setting(
        ..., "Model name, prefix or regular expression (of the whole name); case does not matter.", min_length=1
    )
    match: Literal["exact", "prefix", "regex"] = setting(
        "exact", "How `model` is compared with the model's name; exact and prefix also with its other spellings."
    )
    provider: str | None = setting(None, "Only calls to this provider; any when not set.")
    service_tier: str | None = setting(None, "Only calls in this tier: batch, flex, priority, ...; any when not set.")
    input_above: int = setting(-1, "Only requests with more input tokens than this.", ge=-1)
    effective_from: Instant | None = setting(None, "First date or time (UTC) the price holds.")
    effective_until: Instant | None = setting(None, "Date or time (UTC) from which it no longer holds.")
    input: Usd | None = setting(None, "USD per million input tokens; 0 is free. Set together with output.")
    output: Usd | None = setting(None, "USD per million output tokens.")
    cache_read: Usd | None = setting(None, "USD per million tokens read from the cache; default: input.")
    cache_write: Usd | None = setting(None, "USD per million tokens written to the cache; default: input.")
    cache_write_1h: Usd | None = setting(None, "USD per million tokens cached for an hour; default: cache_write.")
    reasoning: Usd | None = setting(None, "USD per million reasoning tokens; default: output.")
    input_audio: Usd | None = setting(None, "USD per million audio input tokens; default: input.")
    cache_audio_read: Usd | None = setting(
        None, "USD per million cached audio tokens; default: input_audio, else cache_read."
    )
    output_audio: Usd | None = setting(None, "USD per million audio output tokens; default: output.")
    factor: Decimal | None = setting(
        None,
        "Multiplies the listed price instead (0.85 is 15 % off), whatever the tier and region; alone, without prices.",
        gt=0,
        le=100,
        max_digits=12,
        decimal_places=9,
    )
    per_request: Usd | None = setting(None, "USD per call.")
    per_hour: Usd | None = setting(None, "USD per hour of the call's duration.")

    @model_validator(mode="after")
    def _usable(self) -> "PriceOverride":
        if self.factor is not None:
            if any(getattr(self, price) is not None for price in _PRICES):
                raise ValueError("factor multiplies the listed price: set it without prices")
            return self._compiles()
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output are set together; write 0 for what is free")
        parts = ("cache_read", "cache_write", "cache_write_1h", "reasoning", "input_audio", "output_audio")
        if self.input is None and any(getattr(self, part) is not None for part in (*parts, "cache_audio_read")):
            raise ValueError("a price for a part of the tokens needs input and output")
        if self.input is None and self.per_request is None and self.per_hour is None:
            raise ValueError("no price is set; a free model has input: 0 and output: 0")
        return self._compiles()

    def _compiles(self) -> "PriceOverride":
        if self.match == "regex":
            try:
                re.compile(self.model)
            except re.error as error:
                raise ValueError(f"{self.model!r} is not a regular expression: {error}") from None
        return self


class PriceRefreshConfig(Section):
    source: str | None = setting(None, "File or https URL of newer price data, in the price library's JSON format.")
    interval: Duration = setting("1d", "Read the source again after this long.", ge=60)

    @model_validator(mode="after")
    def _no_plain_http(self) -> "PriceRefreshConfig":
        if self.source and "://" in self.source and not self.source.startswith("https://"):
            raise ValueError("source is a file or an https:// URL: prices decide about money")
        return self


class PricingConfig(Section):
    overrides: tuple[PriceOverride, ...] = setting((), "Prices of your own; they win over the library's.")
    aliases: dict[str, str] = setting(
        {}, "Model names that only you use (Azure deployments): `my-deployment: azure/gpt-4o` or `: gpt-4o`."
    )
    refresh: PriceRefreshConfig = section(PriceRefreshConfig, "Newer price data than the installed library's.")
