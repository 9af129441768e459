"""Newer price data on a timer, when `pricing.refresh.source` names a file or URL. Never at import, never required."""

import asyncio
import http.client
import urllib.request
from pathlib import Path

import structlog

from collector.config import Config, PricingConfig
from collector.enrich import Enricher, conventions
from collector.enrich.prices.catalogue import Catalogue
from collector.files import write_durably
from collector.part import Part
from collector.schema import schema_root
from collector.waiting import wait_for

log = structlog.get_logger("spanmeter.prices")

_MAX_BYTES = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 60
_SAVED = "prices.json"


def read_prices(source: str) -> bytes:
    """The bytes of a file or an https URL. Raises OSError, and ValueError for more than 64 MiB."""
    if not source.startswith("https://"):
        data = Path(source).read_bytes()
    else:
        with urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - https, checked above
            data = answer.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{source} is larger than {_MAX_BYTES} bytes")
    return bytes(data)


def installed_catalogue(pricing: PricingConfig, directory: Path) -> Catalogue:
    """The prices to use: the last that were refreshed in this data directory, else the library's; with the overrides.

    Raises ConfigError for overrides that cannot be used.
    """
    saved = directory / _SAVED
    if pricing.refresh.source and saved.exists():
        try:
            return Catalogue.from_bytes(saved.read_bytes(), pricing)
        except (OSError, ValueError) as error:
            log.warning("The refreshed prices cannot be read; the library's are used.", file=str(saved), why=str(error))
    return Catalogue.bundled(pricing)


def refresh(enricher: Enricher, pricing: PricingConfig, source: str, directory: Path) -> None:
    """Price with what `source` holds from the next batch on, and keep it; while it cannot be used, nothing changes."""
    try:
        data = read_prices(source)
        catalogue = Catalogue.from_bytes(data, pricing)
        if catalogue.version != enricher.catalogue.version:
            write_durably(directory / _SAVED, data)
            enricher.catalogue = catalogue
            log.info("Prices refreshed.", source=source, version=catalogue.version)
    except (OSError, ValueError, http.client.HTTPException) as error:
        log.warning("Prices were not refreshed; the ones in use stay.", source=source, why=str(error))


def enricher(pricing: PricingConfig, directory: Path | None = None) -> Enricher:
    """Conventions and prices as installed, refreshed in a data directory, and configured. Raises ConfigError."""
    catalogue = installed_catalogue(pricing, directory) if directory else Catalogue.bundled(pricing)
    return Enricher(conventions.load(schema_root()), catalogue)


class Prices(Part):
    """Owns `enricher`, and keeps its prices as fresh as `pricing.refresh` asks. Raises ConfigError."""

    name = "prices"
    settings = ("pricing",)
    reloadable = ("pricing",)

    def __init__(self, config: Config) -> None:
        self._pricing = config.pricing
        self._directory = config.directory
        self._reloaded = asyncio.Event()
        self.enricher = enricher(self._pricing, self._directory)

    async def run(self) -> None:
        """Refresh on the timer, by the settings in force, for ever."""
        while True:
            self._reloaded.clear()
            pricing = self._pricing
            if pricing.refresh.source:
                await asyncio.to_thread(refresh, self.enricher, pricing, pricing.refresh.source, self._directory)
            await wait_for(self._reloaded, pricing.refresh.interval if pricing.refresh.source else None)

    async def reload(self, config: Config) -> None:
        catalogue = installed_catalogue(config.pricing, self._directory)
        self._pricing, self.enricher.catalogue = config.pricing, catalogue
        self._reloaded.set()
