"""Reference documents are as the code renders them, and the code renders what it means."""

from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from collector.config import Config
from collector.config.budgets import BudgetConfig
from collector.config.pricing import PriceOverride, PriceRefreshConfig
from collector.config.settings import Section
from collector.config.spool import SpoolConfig
from collector.config.webhooks import WebhookConfig
from collector.docs.documents import DOCUMENTS, Document, write_all
from collector.docs.markdown import table
from collector.docs.values import range_of, type_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.path)
def test_a_document_is_as_the_code_renders_it(document: Document) -> None:
    committed = (ROOT / document.path).read_text(encoding="utf-8")
    assert committed == document.render(), "render it again with `make docs`"


def test_one_command_renders_all(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write_all(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")} == {one.path for one in DOCUMENTS}


def field(section: type[Section], name: str) -> FieldInfo:
    return section.model_fields[name]


@pytest.mark.parametrize(
    ("section", "name", "kind", "limits"),
    [
        (Config, "processes", "integer", "1 to 256"),
        (Config, "shutdown_timeout", "duration", "above 0"),
        (WebhookConfig, "timeout", "duration", "above 0, at most 5m"),
        (PriceRefreshConfig, "interval", "duration", "at least 1m"),
        (SpoolConfig, "flush_interval", "duration", ""),
        (SpoolConfig, "fsync", "`always`, `interval`, `off`", ""),
        (SpoolConfig, "segment_max_bytes", "size", "at least 1KiB"),
        (PriceOverride, "input", "USD", "0 to 1,000,000"),
        (PriceOverride, "effective_from", "date or time", ""),
        (BudgetConfig, "limit_usd", "USD", "above 0, at most 1,000,000,000"),
        (BudgetConfig, "per", "list (dimension)", "length at most 10"),
        (BudgetConfig, "limits", "mapping (text: USD) or list (settings)", ""),
        (BudgetConfig, "name", "text", "not empty, length at most 200"),
    ],
)
def test_types_and_ranges_are_those_the_settings_check(
    section: type[Section], name: str, kind: str, limits: str
) -> None:
    assert (type_of(field(section, name)), range_of(field(section, name))) == (kind, limits)


def test_a_table_leaves_out_what_is_empty_and_keeps_its_columns() -> None:
    assert (
        table(("a", "b", "c"), [("1", "", "x|y"), ("2", "", "")]) == "| a | c |\n| --- | --- |\n| 1 | x\\|y |\n| 2 |  |"
    )
