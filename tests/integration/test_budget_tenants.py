"""Budgets that several projects share: what one of them sees of the others, over REST and the real store."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.admit.auth import hash_token
from collector.config import EnforcementConfig
from collector.errors import Reason, Unavailable
from collector.spending.enforcement import Enforcement
from collector.spending.lease_store import LeaseStore
from collector.store import Store
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of
from tests.support.webserver import Web, serving
from tests.support.webservices import application, services

HERE, THERE, ADMIN, CHECKER = "here-token", "there-token", "admin-token", "checker-token"
TOKENS = [
    {"name": token, "sha256": hash_token(token), "scopes": [scope], "project": project}
    for token, scope, project in (
        (HERE, "traces:read", "here"),
        (THERE, "traces:read", "there"),
        (ADMIN, "admin", "here"),
        (CHECKER, "budgets:check", "here"),
    )
]
DAY_NS = 86_400 * 10**9

BUDGETS: list[dict[str, Any]] = [
    {
        "name": "users",
        "limit_tokens": 10_000,
        "period": "month",
        "per": "user",
        "limits": {"ann": 5_000, "bob": 2_000, "eve": 3_000},
        "hard": True,
    },
    {"name": "whole", "limit_tokens": 100_000, "period": "month"},
    {"name": "window", "limit_tokens": 100_000, "period": "24h", "per": "user"},
    {"name": "listed", "limit_tokens": 100_000, "period": "month", "match": {"project": ["here", "there"]}},
    {
        "name": "own",
        "limit_tokens": 1_000,
        "period": "month",
        "per": ["project", "user"],
        "limits": [
            {"value": {"project": "here", "user": "ann"}, "limit_tokens": 7_000},
            {"value": {"project": "there", "user": "bob"}, "limit_tokens": 8_000},
        ],
    },
    {"name": "theirs", "limit_tokens": 1_000, "period": "month", "match": {"project": "there"}},
]
MONTH_AGO = NOW - 31 * DAY_NS
CALLS = [
    Call(1, 1, NOW, 100, user="ann", project="here", feature="a"),
    Call(2, 1, NOW, 1_000, user="ann", project="there", feature="b"),
    Call(3, 1, NOW, 2_500, user="bob", project="there", feature="b"),
    Call(4, 1, MONTH_AGO, 10, user="ann", project="here"),
    Call(5, 1, MONTH_AGO, 40, user="ann", project="there"),
    Call(6, 1, MONTH_AGO, 80, user="bob", project="there"),
]


@pytest.fixture
def bench(store: Store) -> Bench:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.deliver(CALLS)
    return bench


@pytest.fixture
def down() -> list[str]:
    """What the store says instead of answering the views, while there is something."""
    return []


@pytest.fixture
def web(bench: Bench, tmp_path: Path, down: list[str]) -> Iterator[Web]:
    def store() -> Store:
        if down:
            raise Unavailable(Reason.STORE, down[0])
        return bench.store

    with LeaseStore(tmp_path / "leases.db") as leases:
        enforcement = Enforcement(bench.rules, bench.ledger, leases, EnforcementConfig(), bench.clock, lambda: None)
        with serving(application(services(enforcement, bench.clock, store=store), TOKENS)) as web:
            yield web


def see(web: Web, name: str, token: str = HERE) -> dict[str, Any]:
    answer = web.ask("GET", f"/api/v1/budgets/{name}", token=token)
    assert answer.status == 200, answer.body
    budget = answer.body["budget"]
    assert isinstance(budget, dict)
    return budget


def states(budget: dict[str, Any]) -> dict[tuple[str, ...], str]:
    return {tuple(state["scope"].values()): state["spend"] for state in budget["states"]}


@pytest.mark.parametrize("name", ["users", "window"])
def test_values_that_only_others_use_are_not_named(web: Web, name: str) -> None:
    budget = see(web, name)
    assert budget["shared"] is True
    assert states(budget) == {("ann",): "1100"}, "the total of the shared budget, which is what is left of it"
    assert (budget["spend"], budget["scopes"]) == ("1100", 1)
    assert states(see(web, name, THERE)) == {("bob",): "2500", ("ann",): "1100"}
    for asked in ("bob", "nobody"):
        budget = see(web, f"{name}?user={asked}")
        assert (budget["states"], budget["spend"], budget["scopes"], budget["breakdown"]) == ([], "0", 0, [])
        assert {past["spend"] for past in budget["history"]} == {"0"}


def test_limits_of_values_that_only_others_use_are_not_named(web: Web) -> None:
    assert see(web, "users")["limits"] == [{"scope": {"user": "ann"}, "limit": "5000"}]
    assert [limit["scope"]["user"] for limit in see(web, "users", THERE)["limits"]] == ["ann", "bob"]
    assert see(web, "own")["limits"] == [{"scope": {"project": "here", "user": "ann"}, "limit": "7000"}]


@pytest.mark.parametrize("name", ["users", "whole", "listed"])
def test_history_and_breakdown_are_of_the_own_calls(web: Web, name: str) -> None:
    budget = see(web, name)
    assert [(past["spend"], past["calls"]) for past in budget["history"]][-1] == ("10", 1)
    assert [(share["feature"], share["spend"]) for share in budget["breakdown"]] == [("a", "100")]


def test_a_budget_without_scopes_tells_its_total(web: Web) -> None:
    for name in ("whole", "listed"):
        assert states(see(web, name)) == {(): "3600"}
        assert see(web, name)["spend"] == "3600"
    assert see(web, "listed")["match"] == {"project": ["here"]}, "who shares it is not said"
    assert see(web, "listed", ADMIN)["match"] == {"project": ["here", "there"]}


def test_a_project_of_its_own_shares_nothing(web: Web) -> None:
    budget = see(web, "own?project=there")
    assert (states(budget), budget["shared"]) == ({("here", "ann"): "100"}, False)
    answer = web.ask("GET", "/api/v1/budgets", token=HERE)
    assert [budget["name"] for budget in answer.body["budgets"]] == ["users", "whole", "window", "listed", "own"]
    assert "bob" not in str(answer.body)
    assert "eve" not in str(answer.body)
    assert "there" not in str(answer.body)
    assert web.ask("GET", "/api/v1/budgets/theirs", token=HERE).status == 404


def test_an_admin_sees_all(web: Web) -> None:
    budget = see(web, "users", ADMIN)
    assert states(budget) == {("bob",): "2500", ("ann",): "1100"}
    assert [limit["scope"]["user"] for limit in budget["limits"]] == ["ann", "bob", "eve"]
    assert budget["history"][-1]["spend"] == "130"
    assert [(share["feature"], share["spend"]) for share in budget["breakdown"]] == [("b", "3500"), ("a", "100")]
    assert len(states(see(web, "own", ADMIN))) == 3
    assert states(see(web, "own?project=there&user=bob", ADMIN)) == {("there", "bob"): "2500"}
    assert states(see(web, "theirs", ADMIN)) == {(): "3500"}


def test_a_check_holds_the_shared_budget_for_the_values_it_names(web: Web) -> None:
    answer = web.ask("POST", "/api/v1/budgets/check", {"user": "bob"}, token=CHECKER)
    assert (answer.body["allowed"], answer.body["budget"]["spend"]) == (False, "2500")
    assert web.ask("POST", "/api/v1/budgets/check", {"user": "ann"}, token=CHECKER).body["allowed"] is True


def test_while_the_store_is_down_nobody_can_say_whose_values_are_whose(web: Web, down: list[str]) -> None:
    down.append("The store does not answer.")
    budget = see(web, "users")
    for name in ("limits", "spend", "scopes", "states", "next", "breakdown", "history"):
        assert budget[name] is None
    assert budget["unavailable"] == "The store does not answer."
    assert budget["limit"] == "10000"
    assert states(see(web, "whole")) == {(): "3600"}
    assert states(see(web, "own")) == {("here", "ann"): "100"}
    assert states(see(web, "users", ADMIN)) == {("bob",): "2500", ("ann",): "1100"}
