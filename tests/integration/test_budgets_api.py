"""Checks and leases over the real web server: decisions, headers, scopes, and a sentence for each mistake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from collector.admit.auth import Gate, hash_token
from collector.config import AuthConfig
from collector.errors import SpanmeterError
from collector.web import api, budgets
from tests.support.budgets import MONTH, Desk
from tests.support.webserver import Answer, Web, serving

CHECKER, OTHER, READER = "checker-token", "other-token", "reader-token"
TOKENS = [
    {"name": name, "sha256": hash_token(token), "scopes": [scope], "project": project}
    for name, token, scope, project in (
        ("checker", CHECKER, "budgets:check", "default"),
        ("other", OTHER, "budgets:check", "other"),
        ("reader", READER, "traces:read", "default"),
    )
]

FEATURES = {
    "name": "features",
    "limit_usd": 5,
    "limits": {"checkout": 1},
    "period": "day",
    "timezone": "America/New_York",
    "per": ["feature"],
    "match": {"service": "shop"},
    "hard": True,
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, MONTH, FEATURES)
    yield desk
    desk.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    gate = Gate(AuthConfig.model_validate({"tokens": TOKENS}))
    app = Starlette(
        routes=budgets.routes(desk.enforcement, gate), exception_handlers={SpanmeterError: api.error_response}
    )
    with serving(app) as web:
        yield web


def check(web: Web, token: str = CHECKER, **question: Any) -> Answer:
    return web.ask("POST", "/api/v1/budgets/check", question, token=token)


def take(web: Web, **question: Any) -> Answer:
    return web.ask("POST", "/api/v1/leases", question, token=CHECKER)


def test_a_run_is_allowed_until_a_budget_is_used_up(desk: Desk, web: Web) -> None:
    answer = check(web, service="shop", feature="checkout")
    assert (answer.status, answer.body["allowed"]) == (200, True)
    assert [budget["name"] for budget in answer.body["budgets"]] == ["month", "features"]
    desk.spend("1.000000000001", service="shop", feature="checkout")
    answer = check(web, service="shop", feature="checkout")
    assert (answer.status, answer.body["allowed"], answer.body["reason"]) == (200, False, "over_limit")
    budget = answer.body["budget"]
    assert (budget["name"], budget["scope"], budget["unit"]) == ("features", {"feature": "checkout"}, "usd")
    assert (budget["limit"], budget["spend"]) == ("1.000000000000", "1.000000000001")
    assert (budget["remaining"], budget["fraction"]) == ("0.000000000000", "1.000000")
    assert budget["period"]["end"] == "2025-10-10T00:00:00-04:00"
    assert answer.headers["retry-after"] == str(answer.body["retry_after_seconds"])
    assert check(web, service="shop", feature="search").body["allowed"], "another feature has its own budget"
    assert check(web, OTHER, service="shop", feature="search").body["allowed"]
