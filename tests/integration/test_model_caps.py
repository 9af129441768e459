"""A cap on a model holds, whichever of its names it is asked for by, answers by, or is written by in the settings."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.billing.price_refresh import enricher
from collector.budgets.decisions import Decision, Estimate
from collector.budgets.rules import Rules
from collector.budgets.seen_values import SeenValues
from collector.budgets.span_facts import Amount
from collector.config import Config, EnforcementConfig, PricingConfig
from collector.query.budgets import BudgetQueries
from collector.spending.enforcement import Enforcement, Granted, Run
from collector.spending.lease_store import LeaseStore
from collector.store import Store
from tests.support.calls import Call
from tests.support.spending import NOW, Bench

MODEL = "gpt-5"
ASKED, ANSWERED = "gen_ai.request.model", "gen_ai.response.model"
ENRICHER = enricher(PricingConfig())
CAP: dict[str, Any] = {"name": "cap", "limit_usd": "0.001", "period": "month", "hard": True}
NAMES = ("gpt-5", "gpt-5-2025-08-07", "openai/gpt-5", "openai/gpt-5-2025-08-07", "GPT-5")


def call(number: int, asked: str, answered: str, **more: Any) -> Call:
    """A call of a thousand tokens in: of gpt-5, more than CAP."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        ASKED: asked,
        ANSWERED: answered,
    }
    return Call(number, 1, NOW, 1000, model="", attributes=attributes, **more)


class Caps:
    """Rules that know the names of models, counted in a real store and enforced."""

    def __init__(self, store: Store, directory: Path, *budgets: dict[str, Any]) -> None:
        config = Config.model_validate({"budgets": list(budgets), "store": {"ttl": "0s"}})
        self.rules = Rules.from_config(config, ENRICHER.catalogue)
        self.bench = Bench(store, self.rules, ENRICHER)
        self.stored = BudgetQueries(lambda: store)
        self.leases = LeaseStore(directory / "leases.db")
        self.bench.restart()
        self.enforcement = Enforcement(
            self.rules,
            self.bench.ledger,
            self.leases,
            EnforcementConfig(),
            self.bench.clock,
            lambda: None,
            self.bench.seen,
        )

    def check(self, **stated: str) -> Decision:
        return self.enforcement.check(Run("default", stated))


@pytest.fixture
def caps(store: Store, tmp_path: Path) -> Iterator[Any]:
    made: list[Caps] = []

    def make(*budgets: dict[str, Any]) -> Caps:
        made.append(Caps(store, tmp_path, *budgets))
        return made[-1]

    yield make
    for one in made:
        one.leases.close()


RECIPES = [
    *({"match": {"model": name}} for name in NAMES),
    {"match": {"model": "gpt-*"}},
    {"match": {"model": ["claude-*", "gpt-5"]}},
    {"per": ["model"]},
    {"per": ["model"], "limit_usd": 1000, "limits": {"gpt-5-2025-08-07": "0.001"}},
    {"per": ["model"], "limit_usd": 1000, "limits": {"gpt-5": "0.001"}},
    {"per": ["provider", "model"], "match": {"provider": "openai"}},
    {"match": {"model": "gpt-5"}, "period": "24h"},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_dated_answer_spends_the_cap_of_what_is_asked_for(caps: Any, recipe: dict[str, Any]) -> None:
    made: Caps = caps({**CAP, **recipe})
    stated = [{"provider": "openai", "model": name} for name in NAMES]
    assert all(made.check(**each).allowed for each in stated)
    made.bench.deliver([call(1, "gpt-5", "gpt-5-2025-08-07")])
    for each in stated:
        refused = made.check(**each)
        assert (refused.allowed, refused.unseen) == (False, ""), each
    if "provider" not in recipe.get("per", ()):
        assert not made.check(model="gpt-5").allowed
    made.bench.assert_equal()
    assert list(made.bench.spending.reconcile()) == []


def test_a_lease_is_held_in_the_cap_of_the_model(caps: Any) -> None:
    made: Caps = caps({**CAP, "per": ["model"]})

    def take(model: str) -> Granted | Decision:
        return asyncio.run(made.enforcement.lease(Run("default", {"model": model}, Estimate(600_000_000))))

    assert isinstance(take("openai/gpt-5"), Granted)
    again = take("gpt-5-2025-08-07")
    assert isinstance(again, Decision)
    assert again.budget
    assert (again.allowed, again.budget.scope, again.budget.reserved) == (False, ("gpt-5",), 600_000_000)


def guide() -> list[dict[str, Any]]:
    """Every budget that the guide shows."""
    text = (Path(__file__).parents[2] / "docs" / "budgets.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    return [budget for block in blocks if isinstance(block, dict) for budget in block.get("budgets", ())]


@pytest.mark.parametrize("budget", guide(), ids=lambda budget: str(budget["limit_usd"]))
def test_the_budgets_of_the_guide_count_a_dated_answer(caps: Any, budget: dict[str, Any]) -> None:
    tight = {**budget, "hard": True, "limit_usd": "0.001", "limits": {}}
    made: Caps = caps({name: value for name, value in tight.items() if name != "webhooks"})
    run = {"service": "support-agent", "feature": "checkout", "model": "gpt-5"}
    assert made.check(**run).budgets
    start = made.bench.clock.now_ns
    spent = call(1, "gpt-5", "gpt-5-2025-08-07", service="support-agent", feature="checkout")
    made.bench.deliver([replace(spent, start_ns=start)])
    refused = made.check(**run)
    assert (refused.allowed, refused.unseen) == (False, "")
    made.bench.assert_equal()


def test_one_model_has_one_sum(caps: Any) -> None:
    made: Caps = caps({**CAP, "per": ["model"], "limit_usd": 100})
    names = ["gpt-5", "gpt-5-2025-08-07", "openai/gpt-5", "", "house-model"]
    made.bench.deliver([call(number, "gpt-5", name, feature="a") for number, name in enumerate(names, 1)])
    made.bench.deliver([call(9, "acme-70b", "acme-70b")])
    (rule,) = made.rules
    ((start, sums),) = made.bench.kept(rule).items()
    assert {scope: amount.calls for scope, amount in sums.items()} == {("gpt-5",): 5, ("acme-70b",): 1}
    made.bench.assert_equal()
    made.bench.restart()
    made.bench.assert_equal()
    period = rule.schedule.slot(start)
    (share, _) = made.stored.breakdown(rule, "", {}, period, 10)
    assert (share.feature, share.model, share.amount.calls) == ("a", "gpt-5", 5)
    asked = rule.resolved({"model": "openai/gpt-5-2025-08-07"})
    (amount,) = made.stored.history(rule, asked, [period])
    assert isinstance(amount, Amount)
    assert amount.calls == 5


def test_another_model_than_asked_for_counts_for_both(caps: Any) -> None:
    """A router may answer by another model: what is matched by either name counts it, and it is divided by the answer."""
    asked, answered = ({**CAP, "name": name, "match": {"model": name}} for name in ("gpt-5", "gpt-5-mini"))
    made: Caps = caps(asked, answered, {**CAP, "name": "each", "per": ["model"]})
    made.bench.deliver([call(1, "gpt-5", "gpt-5-mini-2025-08-07")])
    spent = {rule.name: [*made.bench.kept(rule).values()] for rule in made.rules}
    assert [len(spent[name]) for name in ("gpt-5", "gpt-5-mini", "each")] == [1, 1, 1]
    assert [*spent["each"][0]] == [("gpt-5-mini",)]
    made.bench.assert_equal()


def test_a_deployment_is_the_model_that_answers_to_it(caps: Any) -> None:
    made: Caps = caps({**CAP, "per": ["model"]}, {**CAP, "name": "deployment", "match": {"model": "gpt5-prod"}})
    assert made.check(model="gpt5-prod").unseen.startswith("No call of project default was counted with model 'gpt5-")
    made.bench.deliver([call(1, "gpt5-prod", "gpt-5-2025-08-07")])
    refused = made.check(model="gpt5-prod")
    assert [(one.rule.name, one.scope) for one in refused.budgets] == [("cap", ("gpt-5",)), ("deployment", ())]
    assert (refused.allowed, refused.unseen) == (False, "")
    assert not made.check(model="gpt-5").allowed
    made.bench.assert_equal()
    made.bench.deliver([call(2, "gpt5-prod", "claude-sonnet-4-5")])
    assert made.check(model="gpt5-prod").unseen, "two models answer to it: it is not known which is next"


def test_a_value_no_call_has_had_is_named(caps: Any) -> None:
    made: Caps = caps(
        {**CAP, "limit_usd": 100, "per": ["feature"], "match": {"service": "shop"}},
        {**CAP, "name": "tenant", "per": "attribute.t"},
    )
    made.bench.deliver([replace(call(1, MODEL, MODEL, feature="checkout"), attributes={"t": "x"}, model=MODEL)])
    assert not made.check(service="shop", feature="checkout", model="no-budget-asks").unseen
    said = "No call of project default was counted with feature 'chekout', attribute.t 'y'; is it written as spans have it?"
    assert made.check(service="shop", feature="chekout", **{"attribute.t": "y"}).unseen == said
    other = made.enforcement.check(Run("other", {"service": "shop"}))
    assert other.unseen, "what other projects send is not told"
    made.bench.restart()
    values = made.bench.seen
    assert isinstance(values, SeenValues)
    assert values.ready


def test_new_names_are_counted_anew(caps: Any) -> None:
    """An alias that is added makes one model of two, in the ledger as in the store."""
    made: Caps = caps({**CAP, "per": ["model"], "limit_usd": 100})
    made.bench.deliver([call(1, "acme-70b", "acme-70b"), call(2, "gpt-5", "gpt-5")])
    (rule,) = made.rules
    assert {scope for sums in made.bench.kept(rule).values() for scope in sums} == {("acme-70b",), ("gpt-5",)}
    config = Config.model_validate({"budgets": [{**CAP, "per": ["model"], "limit_usd": 100}], "store": {"ttl": "0s"}})
    renamed = enricher(PricingConfig.model_validate({"aliases": {"acme-70b": "gpt-5"}})).catalogue
    made.bench.use(Rules.from_config(config, renamed))
    (rule,) = made.bench.rules
    assert {scope for sums in made.bench.kept(rule).values() for scope in sums} == {("gpt-5",)}
    made.bench.assert_equal()
