"""Evaluators over stored runs: by a job, by the command line; what they find in REST and in the run's document."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_runs import request, send, support_agent
from tests.support.daemon import Daemon, running
from tests.support.waiting import wait_until

EVALUATORS = """
evaluators:
- {name: mentions-refund, settle: 0s, kind: output_contains, value: refunded}
- {name: cheap, settle: 0s, kind: bound, metric: cost_usd, max: 0.000001}
- {name: asks-first, settle: 0s, kind: tool_path, mode: never, steps: [delete_customer]}
- {name: nobody, settle: 0s, select: {agent: "nobody*"}, kind: finish}
- {name: short, on: span, settle: 0s, select: {where: [{kind: tool}]}, kind: bound, metric: duration_ms, max: 60000}
- {name: theirs, kind: external}
evals: {enabled: false}
"""
RUNS = 3


def trace(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With three equal runs."""
    root = tmp_path_factory.mktemp("evals")
    (root / "config.yaml").write_text(EVALUATORS)
    with running(root / "data", config=root / "config.yaml") as found:
        for number in range(1, RUNS + 1):
            send(found.http, request(support_agent(), number, time.time_ns() - 600 * 10**9))
        for number in range(1, RUNS + 1):
            found.trace(trace(number), len(support_agent()))
        yield found


def get(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(path)
    assert status == 200, body
    return json.loads(body)


def post(daemon: Daemon, path: str, body: object) -> tuple[int, Any]:
    made = urllib.request.Request(
        f"{daemon.web}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(made) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def judge(daemon: Daemon, **body: object) -> Any:
    """The result of a job that judges."""
    status, answer = post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01", **body})
    assert status == 202, answer
    path = f"/api/v1/jobs/{answer['job']['id']}"
    wait_until(lambda: bool(get(daemon, path)["job"]["finished_at"]), 60, "the job")
    job = get(daemon, path)["job"]
    assert job["state"] == "succeeded", job
    assert job["done"] == job["total"] == RUNS
    return job["result"]


def test_stored_runs_are_judged_once(daemon: Daemon) -> None:
    counted = judge(daemon, dry_run=True)
    assert {name: one["selected"] for name, one in counted["evaluators"].items()} == {
        "mentions-refund": RUNS,
        "cheap": RUNS,
        "asks-first": RUNS,
        "nobody": 0,
        "short": RUNS,
    }
    assert get(daemon, "/api/v1/evaluations")["evaluations"] == []
    first = judge(daemon)
    found = first["evaluators"]
    assert [found["mentions-refund"][key] for key in ("passed", "failed", "errors", "skipped")] == [RUNS, 0, 0, 0]
    assert [found["cheap"][key] for key in ("passed", "failed", "errors", "skipped")] == [0, RUNS, 0, 0]
    assert [found["asks-first"][key] for key in ("passed", "failed")] == [RUNS, 0]
    again = judge(daemon)
    assert all(one["selected"] == 0 for one in again["evaluators"].values())
    assert again["evaluators"]["cheap"]["known"] == RUNS
    rows = get(daemon, "/api/v1/evaluations?all=true&limit=1000")["evaluations"]
    anew = judge(daemon, again=True, evaluators=["cheap"])
    assert anew["evaluators"]["cheap"]["failed"] == RUNS
    assert len(get(daemon, "/api/v1/evaluations?all=true&limit=1000")["evaluations"]) == len(rows) + RUNS
    assert len(get(daemon, "/api/v1/evaluations?limit=1000")["evaluations"]) == len(rows), "the newest of each counts"


def test_a_run_has_its_evaluations(daemon: Daemon) -> None:
    judge(daemon)
    document = get(daemon, f"/api/v1/runs/{trace(1)}")
    of_run = {one["evaluator"]: one for one in document["evaluations"] if not one["span_id"]}
    assert of_run["cheap"]["verdict"] == "fail"
    assert "more than 0.000001" in of_run["cheap"]["reason"]
    assert not of_run["cheap"]["stale"]
    (cited,) = of_run["mentions-refund"]["evidence"]
    said = next(one["answer"] for one in document["rounds"] if one["span_id"] == cited["span_id"])
    assert said.encode()[cited["start"] : cited["end"]] == b"refunded"
    assert {one["span_id"] for one in document["evaluations"] if one["evaluator"] == "short"} >= {
        action["span_id"] for one in document["rounds"] for action in one["actions"] if action["kind"] == "tool"
    }
    asked = [request["name"] for one in document["rounds"] for request in one["requests"]]
    assert asked[:2] == ["get_customer", "list_charges"]


def test_pages_of_evaluations(daemon: Daemon) -> None:
    judge(daemon)
    everything = get(daemon, "/api/v1/evaluations?limit=1000")["evaluations"]
    paged: list[Any] = []
    path = "/api/v1/evaluations?limit=7"
    while True:
        page = get(daemon, path)
        paged += page["evaluations"]
        if page["next"] is None:
            break
        path = f"/api/v1/evaluations?limit=7&after={page['next']}"
    assert paged == everything
    failed = get(daemon, f"/api/v1/evaluations?verdict=fail&evaluator=cheap&trace_id={trace(2)}")["evaluations"]
    assert [(one["trace_id"], one["verdict"]) for one in failed] == [(trace(2), "fail")]


def test_what_others_found_is_added(daemon: Daemon) -> None:
    given = {
        "trace_id": trace(3),
        "evaluator": "theirs",
        "verdict": "fail",
        "score": 0.25,
        "reason": "No.",
        "batch": "b1",
    }
    ids = [post(daemon, "/api/v1/evaluations", {"evaluations": [given]}) for _ in range(2)]
    assert ids[0] == ids[1], "sent again, it adds none"
    failed = {"trace_id": trace(3), "evaluator": "broken", "verdict": "pass", "error_type": "timeout"}
    assert post(daemon, "/api/v1/evaluations", {"evaluations": [failed]})[0] == 201
    found = {
        one["evaluator"]: one
        for one in get(daemon, f"/api/v1/evaluations?kind=external&trace_id={trace(3)}")["evaluations"]
    }
    assert (found["theirs"]["verdict"], found["theirs"]["score"], found["theirs"]["kind"]) == ("fail", 0.25, "external")
    assert (found["broken"]["status"], found["broken"]["verdict"]) == ("error", ""), "an error has no verdict"


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        ("/api/v1/evaluators/run", {"since": "2020-01-01", "evaluators": ["no"]}, "There is no evaluator 'no'"),
        ("/api/v1/evaluators/run", {"since": "2020-01-01", "definitions": [{"name": "a"}]}, "needs a kind"),
        ("/api/v1/evaluations", {"evaluations": [{"trace_id": "x", "evaluator": "a"}]}, "should match pattern"),
        ("/api/v1/evaluations", {"evaluations": []}, "evaluations"),
    ],
)
def test_mistakes_are_sentences(daemon: Daemon, path: str, body: object, sentence: str) -> None:
    status, answer = post(daemon, path, body)
    assert status == 400
    assert sentence in answer["error"]["message"]


def test_the_command_line(daemon: Daemon, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("- {name: mine, settle: 0s, kind: output_regex, pattern: 'refund(ed)?'}")

    def spanmeter(*arguments: str) -> str:
        command = [sys.executable, "-m", "collector", "eval", *arguments, "--url", daemon.web]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"mine            {RUNS}" in spanmeter("run", "-f", str(file), "--since", "2020-01-01")
    listed = json.loads(spanmeter("list", "--evaluator", "mine", "--json"))
    assert [one["verdict"] for one in listed] == ["pass"] * RUNS
    assert "mine" in spanmeter("show", trace(1))
