"""What the views ask the store: shares and periods of a budget, narrowed to what a caller asks for and may see."""

import pytest

from collector.budgets.decisions import period_at
from collector.query.budgets import BudgetQueries
from collector.store import Store
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of

NARROW = {
    "name": "narrow",
    "limit_usd": 10,
    "period": "month",
    "match": {"feature": ["a", "c"], "model": "small-*", "service": "shop", "attribute.tenant": "x"},
    "per": ["feature", "model", "attribute.tenant"],
}
CALLS = [
    Call(1, 1, NOW, 100, model="small-model", feature="a", service="shop", attributes={"tenant": "x"}),
    Call(2, 1, NOW, 1_000, model="small-model", feature="b", service="shop", attributes={"tenant": "x"}),
    Call(3, 1, NOW, 10_000, model="large-model", feature="a", service="shop", attributes={"tenant": "x"}),
    Call(5, 1, NOW, 1_000_000, model="small-model", feature="a", service="bank", attributes={"tenant": "x"}),
    Call(4, 1, NOW, 100_000, model="small-model", feature="a", service="shop", attributes={"tenant": "y"}),
]


@pytest.fixture
def stored(store: Store) -> BudgetQueries:
    return BudgetQueries(lambda: store)


@pytest.mark.parametrize(
    ("where", "tokens"),
    [
        ({}, 100),
        ({"feature": "a"}, 100),
        ({"feature": "a", "model": "small-model"}, 100),
        ({"feature": "b"}, 0),
        ({"feature": "c"}, 0),
        ({"model": "large-model"}, 0),
        ({"model": ""}, 0),
        ({"attribute.tenant": "y"}, 0),
        ({"service": "bank"}, 0),
        ({"feature": "a", "user": "u1"}, 0),
    ],
)
def test_what_is_asked_for_never_widens_what_a_budget_counts(
    store: Store, stored: BudgetQueries, where: dict[str, str], tokens: int
) -> None:
    rules = rules_of(NARROW)
    Bench(store, rules, RIGHT).deliver(CALLS)
    rule = rules.by_name("narrow")
    period = period_at(rule, NOW)
    shares = stored.breakdown(rule, "", where, period, 10)
    assert sum(share.amount.tokens for share in shares) == tokens
    assert [one.tokens for one in stored.history(rule, where, [period])] == [tokens]
