"""Newer price data on a timer, when `pricing.refresh.source` names a file or URL. Never at import, never required."""

import asyncio
import urllib.request
from pathlib import Path

import structlog

from collector.config import PricingConfig
from collector.enrich import Enricher
from collector.enrich.catalog import Catalogue

log = structlog.get_logger("spanmeter.prices")

_MAX_BYTES = 64 * 1024 * 1024
_TIMEOUT_SECONDS = 60


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


def refresh(enricher: Enricher, pricing: PricingConfig, source: str) -> None:
    """Price with what `source` holds from the next batch on; while it cannot be used, the prices stay as they are."""
    try:
        catalogue = Catalogue.from_bytes(read_prices(source), pricing)
    except (OSError, ValueError) as error:
        log.warning("Prices were not refreshed; the ones in use stay.", source=source, why=str(error))
        return
    if catalogue.version != enricher.catalogue.version:
        enricher.catalogue = catalogue
        log.info("Prices refreshed.", source=source, version=catalogue.version)


async def keep_fresh(enricher: Enricher, pricing: PricingConfig) -> None:
    """Refresh on the timer; ends at once when no source is configured."""
    source = pricing.refresh.source
    while source:
        await asyncio.to_thread(refresh, enricher, pricing, source)
        await asyncio.sleep(pricing.refresh.interval)
