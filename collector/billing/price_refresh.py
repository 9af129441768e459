"""Newer price data on a timer, when `pricing.refresh.source` names a file or URL. Never at import, never required."""

import asyncio
import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path

import structlog

from collector.config import PricingConfig
from collector.enrich import Enricher
from collector.enrich.prices.catalogue import Catalogue
from collector.files import write_durably

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


async def keep_fresh(enricher: Enricher, current: Callable[[], PricingConfig], directory: Path) -> None:
    """Refresh on the timer, as the settings are at that time; ends once no source is configured."""
    while source := current().refresh.source:
        await asyncio.to_thread(refresh, enricher, current(), source, directory)
        await asyncio.sleep(current().refresh.interval)
