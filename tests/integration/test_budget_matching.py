"""The store matches as rules do: the ledger is compared with what it answers."""

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.budgets.rules import Rules
from collector.config import Config
from collector.model.budgets import Dimensions
from collector.store import Store

MATCHES = "SELECT arrayMap(model -> match(model, {model_pattern:String}), {models:Array(String)}) AS Matches"
LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
NAMES = st.text(
    st.one_of(st.sampled_from("gptGPT-4.[]{}()|^$\\'\"?*+ \n\t\u212a\u0130\u0131\u00df"), LETTERS), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.lists(NAMES, max_size=20), st.text("*?", max_size=2))
@example(["gpt-*", "o?"], ["GPT-4o", "o3", "o3-mini", "xgpt-4", "gpt-4o\n", "gpt-\n"], "")
@example(["a\\b'c"], ["a\\b'c", "A\\B'C", "a\nb'c"], "*")
@example(["k", "i", "ss", "\u00c4"], ["\u212a", "\u0130", "\u0131", "\u00df", "\u00e4", "\u00c4", "K", "I"], "")
def test_the_store_and_the_rules_agree(store: Store, patterns: list[str], models: list[str], wild: str) -> None:
    budget: dict[str, Any] = {"name": "b", "limit_usd": 1, "period": "day"}
    globs = {pattern + wild for pattern in patterns}
    (rule,) = Rules.from_config(Config.model_validate({"budgets": [{**budget, "match": {"model": sorted(globs)}}]}))
    names = [*models, *patterns, *(pattern.upper() + "x" for pattern in patterns)]
    expected = [rule.scope_of(Dimensions(model=name)) is not None for name in names]
    table = store.query(MATCHES, {"model_pattern": rule.sql_parameters()["model_pattern"], "models": names})
    assert [bool(found) for found in table["Matches"][0].as_py()] == expected


def test_a_pattern_for_none_is_none(store: Store) -> None:
    """`model_pattern` is "" only for a rule that does not match by model."""
    budget = {"name": "b", "limit_usd": 1, "period": "day", "match": {"model": ""}}
    (rule,) = Rules.from_config(Config.model_validate({"budgets": [budget]}))
    pattern = rule.sql_parameters()["model_pattern"]
    assert pattern
    found = store.query(MATCHES, {"model_pattern": pattern, "models": ["", "x"]})["Matches"][0].as_py()
    assert [bool(one) for one in found] == [True, False]
