"""Prices from a file are taken up while the daemon runs; a source that cannot be read leaves the prices as they are."""

import json
from pathlib import Path

import pytest

from collector.billing.price_refresh import enricher, read_prices, refresh
from collector.config import PricingConfig
from tests.support.prices import PRICE_DATA


def refreshed(source: Path) -> str:
    """The version in use after one look at `source`."""
    used = enricher(PricingConfig())
    refresh(used, PricingConfig(), str(source), source.parent)
    return used.catalogue.version


def test_a_file_replaces_the_bundled_prices(tmp_path: Path) -> None:
    source = tmp_path / "prices.json"
    source.write_text(json.dumps(PRICE_DATA))
    assert refreshed(source).startswith("genai-prices/sha256-")


@pytest.mark.parametrize("text", [None, "no json", "[]"])
def test_a_source_that_cannot_be_used_leaves_the_prices(tmp_path: Path, text: str | None) -> None:
    source = tmp_path / "prices.json"
    if text is not None:
        source.write_text(text)
    assert not refreshed(source).startswith("genai-prices/sha256-")


def test_a_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.billing.price_refresh._MAX_BYTES", 10)
    source = tmp_path / "prices.json"
    source.write_text("x" * 11)
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_prices(str(source))
