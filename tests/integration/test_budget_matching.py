"""The store matches as rules do, whatever a model is called: the ledger is compared with what it answers."""

import pytest

from collector.store import Store
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of

ODD = [
    "gpt-4o",
    "GPT-4O",
    "xgpt-4",
    "a\\b'c",
    "a\nb'c",
    "\u212a",
    "K",
    "\u0130",
    "\u00c4",
    "\u00e4",
    "a[1m]",
    "x" * 700,
]


@pytest.mark.parametrize(
    ("patterns", "counted"),
    [
        (["gpt-*"], {"gpt-4o", "GPT-4O"}),
        (["k", "i", "\u00c4"], {"K", "\u00c4"}),
        (["A\\B'C", "?"], {"a\\b'c", "\u212a", "K", "\u0130", "\u00c4", "\u00e4"}),
        (["a[1m]"], {"a[1m]"}),
        (["x*"], {"xgpt-4", "x" * 200}),
        (["*"], {*ODD[:-1], "x" * 200}),
        ([""], set()),
    ],
)
def test_the_store_and_the_rules_agree(store: Store, patterns: list[str], counted: set[str]) -> None:
    budget = {"name": "b", "limit_usd": 1, "period": "month", "match": {"model": patterns}, "per": ["model"]}
    bench = Bench(store, rules_of(budget), RIGHT)
    bench.deliver([Call(number, 1, NOW, 10, model=model) for number, model in enumerate(ODD, 1)])
    (rule,) = bench.rules
    assert {scope for sums in bench.kept(rule).values() for scope in sums} == {(model,) for model in counted}
    bench.assert_equal()
