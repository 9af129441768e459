"""Ten thousand judgements change nothing of what the product's budgets say, to the byte."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running
from tests.support.judge_server import judge_server
from tests.support.judging import (
    budget_bytes,
    evaluations,
    evaluator,
    get,
    judge,
    receipts,
    send_runs,
    settings,
    spent,
    write,
)
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

RUNS, EVALUATORS = 500, 20
BUDGETS = [
    {"name": "product", "limit_usd": 10, "period": "month", "hard": True},
    {"name": "by-agent", "limit_usd": 10, "period": "week", "per": ["agent", "service"]},
    {
        "name": "tokens",
        "limit_tokens": 10_000_000,
        "period": "month",
        "timezone": "Europe/Berlin",
        "match": {"model": "*"},
    },
]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with judge_server() as server:
        values = settings(server.url, ["pass"], budgets=BUDGETS)
        values["judges"]["pass"]["max_concurrency"] = 16
        values["evaluators"] = [evaluator("pass", name=f"e{n}", judge={"use": "pass"}) for n in range(EVALUATORS)]
        with running(tmp_path / "data", config=write(tmp_path / "config.yaml", values)) as found:
            send_runs(found, range(1, RUNS + 1))
            yield found


def test_product_budgets_after_ten_thousand_judgements(daemon: Daemon) -> None:
    names = [str(one["name"]) for one in BUDGETS]
    before = {name: budget_bytes(daemon, name) for name in names}
    product = spent(daemon)[""]
    result = judge(daemon, 1500)
    assert sum(one["passed"] for one in result["evaluators"].values()) == RUNS * EVALUATORS
    paid = receipts(evaluations(daemon, "&kind=judge"))
    assert paid == Decimal(result["cost"])
    wait_until(lambda: spent(daemon) == {"": product, "judge": paid}, 120, "all spans to be counted")
    assert {name: budget_bytes(daemon, name) for name in before} == before
    assert len(get(daemon, "/api/v1/runs?since=2020-01-01&limit=1000")["runs"]) == RUNS
