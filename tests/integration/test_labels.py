"""Labels and agreement by REST and by the command line."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.daemon import Daemon, running

RUNS = [f"{number:032x}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With verdicts of another tool's judge on runs: two of three pass."""
    with running(tmp_path_factory.mktemp("labels")) as started:
        found = [{"trace_id": run, "evaluator": "kind", "verdict": _verdict(n)} for n, run in enumerate(RUNS)]
        post(started, "/api/v1/evaluations", {"evaluations": found})
        yield started


def _verdict(number: int) -> str:
    return "pass" if number % 3 else "fail"


def post(daemon: Daemon, path: str, body: dict[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(daemon.web + path, json.dumps(body).encode(), headers)) as got:
        return json.load(got)


def cli(daemon: Daemon, *arguments: str) -> str:
    command = [sys.executable, "-m", "collector", "eval", *arguments, "--url", daemon.web]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_people_label_and_the_judge_is_measured(daemon: Daemon) -> None:
    for number, run in enumerate(RUNS):
        body = {
            "trace_id": run,
            "evaluator": "kind",
            "verdict": _verdict(number),
            "reason": "So it is.",
            "labeler": "Ada",
        }
        post(daemon, "/api/v1/evaluations/labels", body)
    cli(daemon, "label", RUNS[0], "--evaluator", "kind", "--verdict", "pass", "--labeler", "Ada", "--reason", "Kind.")
    found = json.loads(cli(daemon, "agreement", "kind", "--json"))
    assert (found["labels"], found["labelers"], found["alpha"]) == (5, 1, None)
    assert (found["judged_pass"], found["judged_fail"]) == ([3, 0], [1, 1])
    assert found["pass_rate"] == pytest.approx(3 / 5)
    assert not found["calibrated"]
    assert [(one["judged"], one["labelled"], one["label_reason"]) for one in found["disagreements"]] == [
        ("fail", "pass", "Kind.")
    ]
    shown = cli(daemon, "agreement", "kind")
    assert "is uncalibrated" in shown
    assert "it says fail" in shown
