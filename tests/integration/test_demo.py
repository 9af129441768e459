"""`spanmeter demo`: two weeks of runs through the real exporters, something of everything that pages show."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon, running
from tests.support.waiting import wait_until


@pytest.mark.slow
def test_the_demo_leaves_something_on_every_page(tmp_path: Path, say: Any) -> None:
    directory = tmp_path / "demo"
    started = time.monotonic()
    endpoints = ("receivers.otlp.protocols.grpc.endpoint", "receivers.otlp.protocols.http.endpoint", "web.endpoint")
    options = [part for endpoint in endpoints for part in ("--set", f"{endpoint}=127.0.0.1:0")]
    command = [sys.executable, "-m", "collector", "demo", "--exit", "--data-dir", str(directory), *options]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout
    say(f"spanmeter demo: {time.monotonic() - started:.1f} s")
    assert "book_train" in shown
    assert "The run cost $0.0001212" in shown
    assert "/runs " in shown
    with running(directory, config=directory / "demo.yaml") as daemon:
        check_runs(daemon)
        check_spend(daemon)
        check_verdicts(daemon)
        assert b'<span class="state ok">delivered</span>' in daemon.get("/budgets")[1]


def ask(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(f"/api/v1/{path}")
    assert status == 200
    return json.loads(body)


def check_verdicts(daemon: Daemon) -> None:
    found = ask(daemon, "evaluations?limit=1000")["evaluations"]
    assert {one["verdict"] for one in found} >= {"pass", "fail"}
    for name in ("cheap", "no-loops", "looks-up-the-weather", "tools-answer", "grounded"):
        assert ask(daemon, f"evaluations?evaluator={name}")["evaluations"], name


def check_runs(daemon: Daemon) -> None:
    since = datetime.now(UTC) - timedelta(days=15)
    runs = ask(daemon, f"runs?since={since:%Y-%m-%d}&limit=1000")["runs"]
    assert len(runs) > 150
    assert {run["agent_name"] for run in runs} == {"support", "researcher", "reviewer", "travel-planner"}
    assert len({run["started_at"][:10] for run in runs}) >= 14
    assert any(run["errors"] for run in runs)
    assert any(not run["errors"] for run in runs)
    assert any(run["unpriced_calls"] for run in runs)
    assert len({run["conversation_id"] for run in runs}) < len(runs) - 10
    dearest = max(runs, key=lambda run: Decimal(run["cost"] or 0))
    assert Decimal(dearest["cost"]) > sum(Decimal(run["cost"] or 0) for run in runs) / 3
    support = next(run for run in runs if run["agent_name"] == "support")
    kinds = [span["Kind"] for span in json.loads(daemon.get(f"/api/v1/traces/{support['trace_id']}")[1])["spans"]]
    assert kinds.count("eval") == 1
    research = next(run for run in runs if run["agent_name"] == "researcher")
    spans = [span for span in daemon.trace(research["trace_id"], 16) if span["ToolName"] == "search"]
    assert len({span["Timestamp"] for span in spans}) == 1
    assert len(spans) == 3


def check_spend(daemon: Daemon) -> None:
    assert ask(daemon, "prices/unpriced")["models"][0]["model"] == "acme-summary-7b"
    wait_until(lambda: not ask(daemon, "budgets")["degraded"], 30, "the ledger to be loaded")
    budgets = {budget["name"]: budget for budget in ask(daemon, "budgets")["budgets"]}
    shares = {
        name: max(Decimal(state["spend"]) / Decimal(state["limit"]) for state in budget["states"])
        for name, budget in budgets.items()
    }
    assert shares["all agents"] < Decimal("0.5")
    assert Decimal("0.8") < shares["support"] < 1
    assert shares["reviews"] > 1
    assert shares["users"] > Decimal("0.8")
