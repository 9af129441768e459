"""A daemon that asks judges is killed again and again: every run ends with a row, and the cap holds to the last cent."""

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from tests.support.daemon import Daemon, running
from tests.support.judge_server import JudgeServer, judge_server
from tests.support.judging import (
    evaluations,
    evaluator,
    get,
    judge,
    receipts,
    send_runs,
    settings,
    spent,
    start_job,
    write,
)
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

RUNS = 100
KILLS = 4
CAP = Decimal("1.00")
# USD per million tokens: a call costs 0.012 USD, and a third of one at most, so that there is no room for all of them.
DEAR_IN, DEAR_OUT = 60, 300
MIXED = ("fail", "label", "refusal", "quota", "nousage", "flip", "cited", "sorry")


@pytest.fixture
def server() -> Any:
    with judge_server() as started:
        yield started


def _paid(server: JudgeServer) -> Decimal:
    """What the capped judge's server has charged, whether or not anybody heard its answers."""
    calls = sum(asked.model == "fake-pass" for asked in list(server.asked))
    return calls * (100 * DEAR_IN + 20 * DEAR_OUT) / Decimal(10**6)


def _cap(daemon: Daemon) -> dict[str, Any]:
    budget: dict[str, Any] = get(daemon, "/api/v1/budgets/evaluator/capped")["budget"]
    return budget


def _verdicts(daemon: Daemon) -> bool:
    return bool(evaluations(daemon, "&evaluator=capped&status=ok"))


def _config(root: Path, server: JudgeServer) -> Path:
    values = settings(server.url, ["pass", *MIXED])
    values["pricing"]["overrides"].insert(
        0, {"model": "fake-pass", "input": DEAR_IN, "output": DEAR_OUT, "name": "dear"}
    )
    values["judges"]["pass"]["max_concurrency"] = 1
    values["evaluators"] = [
        evaluator("pass", name="capped", judge={"use": "pass"}, budget={"usd": str(CAP), "period": "week"}),
        *(evaluator(one, judge={"votes": 3, "max_votes": 3} if one == "flip" else {}) for one in MIXED),
    ]
    # What settles is judged by a process of its own, at the same time as back-fills.
    values["evals"] = {"enabled": True}
    return write(root / "config.yaml", values)


def test_the_cap_and_the_sums_hold_through_kills(tmp_path: Path, server: JudgeServer) -> None:
    config = _config(tmp_path, server)
    with running(tmp_path / "data", config=config) as daemon:
        send_runs(daemon, range(1, RUNS + 1))
        for kill in range(KILLS):
            calls = len(server.asked) + 20 * (kill + 1)
            with suppress(HTTPError, URLError, ConnectionError):
                start_job(daemon)
            wait_until(lambda calls=calls: len(server.asked) > calls, 120, "some calls")  # type: ignore[misc]
            if kill == 0:  # each kill may set a third of the cap aside for good: there would be no verdict at all
                wait_until(lambda: _verdicts(daemon), 120, "a verdict within the cap")
            daemon.kill()
            assert _paid(server) <= CAP
            daemon.start()
            daemon.wait_until_ready(120)
            assert Decimal(_cap(daemon)["spend"]) <= CAP
        result = judge(daemon, 400)
        assert result["runs"] == RUNS
        assert _paid(server) <= CAP
        _assert_whole(daemon, tmp_path / "data")


def _assert_whole(daemon: Daemon, data: Path) -> None:
    names = {"capped", *MIXED}
    ends = {name: Counter[str]() for name in names}
    for row in evaluations(daemon, "&kind=judge"):
        ends[row["evaluator"]][row["status"]] += 1
    for name, found in ends.items():
        assert found["ok"] + found["error"] + found["skipped"] == RUNS, (name, found)
    assert ends["capped"]["ok"] > 0
    assert ends["capped"]["skipped"] > 0, "there is more to judge than money"
    every = [row for row in evaluations(daemon, "&kind=judge&all=true") if row["vote"] == 0]
    paid = receipts(every)
    wait_until(lambda: spent(daemon).get("judge") == paid, 60, "receipts to be what spans are priced with")
    assert receipts(row for row in every if row["evaluator"] == "capped") == Decimal(_cap(daemon)["spend"]) <= CAP
    with closing(sqlite3.connect(data / "judgements.db")) as kept:
        assert kept.execute("SELECT count(*) FROM judgements").fetchone() == (0,)
