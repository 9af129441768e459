"""Prices from a file are taken up while the daemon runs; a source that cannot be read leaves the prices as they are."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from collector.app import enricher
from collector.config import PricingConfig
from collector.pricefeed import keep_fresh, read_prices
from tests.unit.test_catalog import AFTER, DATA


def refreshed(source: Path, seconds: float) -> str:
    """The version in use after the feed has looked at `source`."""
    pricing = PricingConfig.model_validate({"refresh": {"source": str(source), "interval": 60}})
    used = enricher(pricing)
    bundled = used.catalogue.version

    async def run() -> None:
        feed = asyncio.create_task(keep_fresh(used, pricing))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while used.catalogue.version == bundled:
                    await asyncio.sleep(0.01)
        feed.cancel()

    asyncio.run(run())
    if used.catalogue.version != bundled:
        assert used.catalogue.listed("acme", "acme-1", AFTER, "", 1)
    return used.catalogue.version


def test_a_file_replaces_the_bundled_prices(tmp_path: Path) -> None:
    source = tmp_path / "prices.json"
    source.write_text(json.dumps(DATA))
    assert refreshed(source, 20).startswith("genai-prices/sha256-")


@pytest.mark.parametrize("text", [None, "no json", "[]"])
def test_a_source_that_cannot_be_used_leaves_the_prices(tmp_path: Path, text: str | None) -> None:
    source = tmp_path / "prices.json"
    if text is not None:
        source.write_text(text)
    assert not refreshed(source, 0.5).startswith("genai-prices/sha256-")


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.pricefeed._MAX_BYTES", 10)
    source = tmp_path / "prices.json"
    source.write_text("x" * 11)
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_prices(str(source))
