"""Every budget that the settings accept has a page of its own."""

import json
from pathlib import Path

import pytest

from collector.cli import main
from collector.web.shadowing import shadowed


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("authorize", "/api/v1/budgets/authorize"),
        ("authorize/team", "/api/v1/budgets/authorize/{rest}"),
        ("check", None),  # POST alone is taken
        ("authorized", None),
        ("Authorize", None),
        ("a/authorize", None),
    ],
)
def test_names_that_other_operations_answer(name: str, path: str | None) -> None:
    assert dict(shadowed(["month", name])) == ({name: path} if path else {})


def test_a_name_without_a_page_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = {"limit_usd": 1, "period": "day"}
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"budgets": [{**budget, "name": "check"}, {**budget, "name": "authorize"}]}))
    assert main(["check-config", "--config", str(file)]) == 2
    sentence = "budgets.1.name: 'authorize' is taken: /api/v1/budgets/authorize answers in its place."
    assert sentence in capsys.readouterr().err
