"""Models that judge stored runs, asked by a daemon: their rows, their spans, and what becomes of the money."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.evals.evaluator import Evaluator
from collector.evals.questions import with_judge
from collector.gate.calibration import read_calibration
from collector.gate.policy import load_policy
from tests.support.agent_runs import send
from tests.support.daemon import Daemon, running
from tests.support.judge_server import JudgeServer, judge_server
from tests.support.judging import (
    asked_run,
    budget_bytes,
    evaluations,
    evaluator,
    get,
    judge,
    late_answer,
    post,
    receipts,
    send_runs,
    settings,
    spent,
    trace,
    write,
)
from tests.support.waiting import wait_until

RUNS = 3
BUDGETS = [
    {"name": "product", "limit_usd": 10, "period": "month"},
    {"name": "by-service", "limit_usd": 10, "period": "month", "per": ["service"]},
    {"name": "everything", "limit_usd": 10, "period": "month", "match": {"purpose": ["", "judge"]}},
]


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, server: JudgeServer) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("judges")
    values = settings(server.url, ["fail"], budgets=BUDGETS)
    values["judges"]["house"] = {"base_url": server.url, "model": "fake-pass", "allow_private": True}
    capped = evaluator("pass", name="refunds", judge={"use": "house"}, budget={"usd": "1.00", "period": "week"})
    values["evaluators"] = [capped, *values["evaluators"]]
    with running(root / "data", config=write(root / "config.yaml", values)) as found:
        send_runs(found, range(1, RUNS + 1))
        yield found


def test_runs_are_judged_by_a_model(daemon: Daemon) -> None:
    before = {one: budget_bytes(daemon, one) for one in ("product", "by-service")}
    product = spent(daemon)[""]
    priced = judge(daemon, evaluators=["refunds"], dry_run=True)
    assert 0 < Decimal(priced["price"]) < Decimal(priced["max_price"]) < Decimal("0.1")
    assert evaluations(daemon, "&evaluator=refunds") == []
    found = judge(daemon, evaluators=["refunds"])
    assert found["evaluators"]["refunds"]["passed"] == RUNS
    assert found["evaluators"]["refunds"]["calibrated"] is False
    rows = evaluations(daemon, "&evaluator=refunds")
    assert sorted(row["trace_id"] for row in rows) == [trace(number) for number in range(1, RUNS + 1)]
    assert {(row["kind"], row["status"], row["verdict"], row["receipt"]["model"]) for row in rows} == {
        ("judge", "ok", "pass", "fake-pass")
    }
    paid = receipts(rows)
    assert paid == Decimal(found["cost"]) > 0
    wait_until(lambda: spent(daemon).get("judge") == paid, 30, "the judges' spans to be counted")
    assert spent(daemon)[""] == product, "the product's spend is what it was"
    again = judge(daemon, evaluators=["refunds"])
    assert again["evaluators"]["refunds"]["known"] == RUNS
    assert {one: budget_bytes(daemon, one) for one in before} == before

    def counted() -> bool:
        everything = json.loads(budget_bytes(daemon, "everything"))["budget"]
        cap = json.loads(budget_bytes(daemon, "evaluator/refunds"))["budget"]
        return Decimal(everything["spend"]) == product + paid and Decimal(cap["spend"]) == paid

    wait_until(counted, 30, "budgets that count judges")


def test_judges_are_a_purpose_of_their_own(daemon: Daemon) -> None:
    judge(daemon, evaluators=["fail"])
    rows = evaluations(daemon, "&evaluator=fail")
    judged = rows[0]["receipt"]["trace_id"]
    spans = daemon.trace(judged, 2)
    assert {span["Purpose"] for span in spans} == {"judge"}
    root = next(span for span in spans if not span["ParentSpanId"])
    assert [link["TraceId"] for link in root["Links"]] == [rows[0]["trace_id"]]
    assert {one["trace_id"] for one in get(daemon, "/api/v1/runs?since=2020-01-01")["runs"]} == {
        trace(number) for number in range(1, RUNS + 1)
    }
    shown = {one["trace_id"] for one in get(daemon, "/api/v1/runs?since=2020-01-01&purpose=judge")["runs"]}
    assert {row["receipt"]["trace_id"] for row in rows} <= shown
    assert judge(daemon)["runs"] == RUNS, "judges are not judged"


def test_bi_tools_tell_judges_from_the_product(daemon: Daemon) -> None:
    judge(daemon, evaluators=["fail"])
    product, paid = spent(daemon)[""], receipts(evaluations(daemon, "&kind=judge&all=true"))
    wait_until(lambda: spent(daemon).get("judge") == paid, 30, "the judges' spans to be stored")

    def asked(query: str) -> dict[str, str]:
        url = f"http://127.0.0.1:{daemon.ports['query']}/?database=otel"
        with urllib.request.urlopen(url, query.encode()) as response:
            return dict(line.split("\t") for line in response.read().decode().splitlines())

    for view in ("calls", "rounds", "runs", "spend_hourly", "spend_daily"):
        costs = asked(f"SELECT Purpose, sum(Cost) FROM {view} GROUP BY Purpose")
        assert {made_for: Decimal(cost) for made_for, cost in costs.items()} == {"": product, "judge": paid}, view
    assert set(asked("SELECT TraceId, Purpose FROM runs WHERE Purpose = ''")) == {
        trace(number) for number in range(1, RUNS + 1)
    }


def test_pages_tell_judges_from_the_product(daemon: Daemon) -> None:
    judge(daemon, evaluators=["fail"])

    def page(path: str) -> str:
        status, body = daemon.get(path)
        assert status == 200
        return body.decode()

    assert "Not in these figures: " in page("/spend")
    assert "Only calls made for <strong>judge</strong>" in page("/spend?purpose=judge")
    assert "judge fail" not in page("/runs?last=30d")
    assert "judge fail" in page("/runs?last=30d&purpose=judge")
    assert "uncalibrated: fewer than 20 labels" in page(f"/runs/{trace(1)}")
    rows = evaluations(daemon, "&evaluator=fail")
    assert {row["calibrated"] for row in rows} == {False}


def test_a_gate_takes_from_a_daemon_how_far_its_judges_agree_with_people(
    daemon: Daemon, server: JudgeServer, tmp_path: Path
) -> None:
    judge(daemon, evaluators=["refunds"])
    for number in range(1, RUNS + 1):
        post(
            daemon,
            "/api/v1/evaluations/labels",
            {"trace_id": trace(number), "evaluator": "refunds", "verdict": "pass" if number > 1 else "fail"},
        )
    house = {"base_url": server.url, "model": "fake-pass", "allow_private": True}
    policy = {
        "judges": {"house": house},
        "evaluators": [evaluator("pass", name="refunds", judge={"use": "house"})],
        "calibration": {"required": True},
    }
    path = write(tmp_path / "gate.yaml", policy)
    command = [sys.executable, "-m", "collector", "gate", "calibrate", "-f", str(path), "--url", daemon.web]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.search(r"refunds \(uncalibrated judge\): kappa 0\.00 .* of 3 labels, revision ", ran.stdout), ran.stdout
    loaded = load_policy(path)
    (known,) = read_calibration(loaded.calibration).values()
    assert known.is_of(with_judge(Evaluator(loaded.evaluators[0]), loaded.policy.judges).revision)


def test_late_spans_have_a_run_judged_again(tmp_path: Path, server: JudgeServer) -> None:
    """What was judged stays, and says that it is stale until the run has settled again."""
    values = settings(server.url, ["cited"])
    values["evaluators"][0] |= {"settle": "1s"}
    values["evals"] = {"enabled": True}
    with running(tmp_path / "data", config=write(tmp_path / "config.yaml", values)) as daemon:
        began = time.time_ns() - 600 * 10**9
        send(daemon.http, asked_run(1, began))

        def found(query: str = "&all=true") -> list[Any]:
            return evaluations(daemon, f"&evaluator=cited{query}")

        wait_until(lambda: len(found()) == 1, 60, "a verdict")
        (first,) = found()
        assert "Really: 60 days." not in server.asked[-1].user
        send(daemon.http, late_answer(1, began, "Really: 60 days."))
        daemon.trace(trace(1), 3)
        (shown,) = get(daemon, f"/api/v1/runs/{trace(1)}")["evaluations"]
        assert shown["stale"] is (shown["id"] == first["id"]), "unless it was judged again already"
        wait_until(lambda: len(found()) == 2, 60, "a further verdict")
        second, kept = found()
        assert kept == first, "rows are added, and never changed"
        assert second["input_hash"] != first["input_hash"]
        assert (second["revision"], second["batch"]) == (first["revision"], "online")
        assert "Really: 60 days." in server.asked[-1].user
        assert [one["id"] for one in found("")] == [second["id"]], "the newest counts"
        (shown,) = get(daemon, f"/api/v1/runs/{trace(1)}")["evaluations"]
        assert (shown["id"], shown["stale"]) == (second["id"], False)
        paid = receipts(found())
        wait_until(lambda: spent(daemon).get("judge") == paid, 30, "both calls to be counted")
        assert judge(daemon)["evaluators"]["cited"]["known"] == 1


def test_the_command_says_what_judging_costs_beforehand(daemon: Daemon) -> None:
    command = [
        sys.executable,
        "-m",
        "collector",
        "eval",
        "run",
        "--url",
        daemon.web,
        "--evaluator",
        "refunds",
        "--again",
    ]
    ran = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=True)
    found = re.search(
        r"3 runs would be looked at. Judging would cost about ([0-9.]+) USD, ([0-9.]+) USD at most", ran.stdout
    )
    assert found, ran.stdout
    assert 0 < Decimal(found[1]) < Decimal(found[2])
