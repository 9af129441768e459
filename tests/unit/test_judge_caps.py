"""The budget of an evaluator as a budget of the daemon, and what its revision depends on."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.config import Config, with_judge_caps
from collector.errors import ConfigError
from collector.evals.evaluator import evaluators_of
from collector.evals.questions import with_judge

HOUSE = {"base_url": "https://models.example/v1", "model": "gpt-4o-mini"}


def config(budget: dict[str, Any] | None = None, **more: Any) -> Config:
    judge = {"name": "refunds", "kind": "judge", "rubric": "Passes.", "judge": {"max_tokens": 300}}
    return Config.model_validate(
        {
            "judges": {"house": HOUSE},
            "evaluators": [judge | ({"budget": budget} if budget else {}), {"name": "done", "kind": "finish"}],
            "store": {"ttl": "35d"},
            **more,
        }
    )


def test_a_cap_is_a_hard_budget_of_what_the_judge_is_asked() -> None:
    given = config({"usd": "5", "period": "day", "timezone": "Europe/Berlin"})
    (cap,) = with_judge_caps(given).budgets
    assert (cap.name, cap.limit_usd, cap.period, cap.timezone, cap.hard) == (
        "evaluator/refunds",
        Decimal(5),
        "day",
        "Europe/Berlin",
        True,
    )
    assert cap.match == {"purpose": ("judge",), "attribute.spanmeter.evaluator": ("refunds",)}
    assert with_judge_caps(config()).budgets == ()


def test_calls_alone_make_a_cap_too() -> None:
    (cap,) = with_judge_caps(config({"max_calls": 10})).budgets
    assert cap.period == "week"
    (nothing,) = with_judge_caps(config({"usd": 0})).budgets
    assert nothing.limit_usd == Decimal("0.000000000001")


def test_a_cap_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ConfigError, match="The budget of the evaluator refunds cannot be kept: a month is longer than"):
        with_judge_caps(config({"usd": 5, "period": "month"}, store={"ttl": "7d"}))
    taken = [{"name": "evaluator/refunds", "limit_usd": 1, "period": "day"}]
    with pytest.raises(ConfigError, match="'evaluator/refunds' has the name of an evaluator's own"):
        with_judge_caps(config({"usd": 5}, budgets=taken))


def test_caps_in_files(tmp_path: Path) -> None:
    path = tmp_path / "evaluators.yaml"
    path.write_text("- {name: kind, kind: judge, rubric: Is kind., budget: {usd: 2}}\n")
    (cap,) = with_judge_caps(config(evals={"files": [str(path)]})).budgets
    assert (cap.name, cap.limit_usd) == ("evaluator/kind", Decimal(2))


def test_a_revision_is_of_the_judge_and_not_of_its_budget() -> None:
    def revision(given: Config) -> str:
        evaluator, _ = evaluators_of(given.evaluators)
        return with_judge(evaluator, given.judges).revision

    first = revision(config({"usd": 5}))
    assert revision(config({"usd": 6})) == first
    assert revision(config({"usd": 5}, judges={"other": HOUSE})) == first, "what it is called does not matter"
    assert revision(config({"usd": 5}, judges={"house": {**HOUSE, "model": "gpt-4o"}})) != first
