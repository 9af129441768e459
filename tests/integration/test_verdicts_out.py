"""Verdicts that leave and come back, labels by page, programs, conversations and cases as what is judged."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.support.agent_runs import request, send, support_agent
from tests.support.daemon import Daemon, running
from tests.support.evals import get, judge, post, trace
from tests.support.waiting import wait_until

PROGRAM = (
    "import json, os, sys; run = json.load(sys.stdin); told = len(run['rounds']); "
    "print(json.dumps({'score': 0.5, 'verdict': 'pass', 'reason': f'{told} rounds, {len(os.environ)} variables'}))"
)
EVALUATORS = f"""
evaluators:
- {{name: cheap, settle: 0s, kind: bound, metric: cost_usd, max: 0.000001}}
- {{name: short, on: span, settle: 0s, select: {{where: [{{kind: tool}}]}}, kind: bound, metric: duration_ms, max: 500}}
- {{name: long-talk, on: conversation, settle: 0s, kind: bound, metric: rounds, min: 15}}
- {{name: cased, on: case, settle: 0s, kind: output_contains, value: refunded}}
- {{name: program, settle: 0s, kind: command, argv: [{json.dumps(sys.executable)}, -c, {json.dumps(PROGRAM)}]}}
evals: {{enabled: false, commands: true}}
"""
RUNS = 3


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With two runs of one conversation, and one of another that is a case of a batch."""
    root = tmp_path_factory.mktemp("out")
    (root / "config.yaml").write_text(EVALUATORS)
    with running(root / "data", config=root / "config.yaml") as found:
        for number in range(1, RUNS + 1):
            steps = support_agent(user="a" if number < RUNS else "b")
            if number == RUNS:
                named = {"spanmeter.case": "refund", "spanmeter.gate.batch": "ci-7"}
                steps[0] = replace(steps[0], attributes={**steps[0].attributes, **named})
            send(found.http, request(steps, number, time.time_ns() - (700 - number) * 10**9))
        for number in range(1, RUNS + 1):
            found.trace(trace(number), len(support_agent()))
        judge(found)
        yield found


def found_by(daemon: Daemon, evaluator: str) -> dict[str, Any]:
    rows = get(daemon, f"/api/v1/evaluations?limit=1000&evaluator={evaluator}")["evaluations"]
    return {one["trace_id"]: one for one in rows}


def form(daemon: Daemon, number: int, fields: Mapping[str, str], origin: str | None) -> tuple[int, str]:
    data = urllib.parse.urlencode(fields).encode()
    made = urllib.request.Request(f"{daemon.web}/runs/{trace(number)}/labels", data)
    if origin:
        made.add_header("Origin", origin)
    try:
        with urllib.request.urlopen(made) as response:
            return response.status, response.url
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_conversations_are_judged_as_one(daemon: Daemon) -> None:
    found = found_by(daemon, "long-talk")
    assert {run: (one["verdict"], one["target"]) for run, one in found.items()} == {
        trace(1): ("pass", "conversation"),
        trace(3): ("fail", "conversation"),
    }
    rounds = len(get(daemon, f"/api/v1/runs/{trace(3)}")["rounds"])
    assert found[trace(1)]["reason"] == f"rounds is {2 * rounds}."


def test_cases_are_runs_that_name_one(daemon: Daemon) -> None:
    assert {run: one["case"] for run, one in found_by(daemon, "cased").items()} == {trace(3): "refund"}


def test_programs_judge(daemon: Daemon) -> None:
    found = found_by(daemon, "program")
    assert len(found) == RUNS
    rounds = len(get(daemon, f"/api/v1/runs/{trace(1)}")["rounds"])
    assert found[trace(1)]["reason"] == f"{rounds} rounds, 4 variables"
    assert found[trace(1)]["score"] == 0.5
    program = {"name": "mine", "kind": "command", "argv": ["id"]}
    status, answer = post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01", "definitions": [program]})
    assert (status, "starts a program" in answer["error"]["message"]) == (400, True)


def test_verdicts_that_come_back_are_the_same_rows(daemon: Daemon) -> None:
    exported = get(daemon, f"/api/v1/runs/{trace(1)}/export?format=otlp")
    assert exported.keys() == {"resourceSpans", "resourceLogs"}
    records = exported["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    before = get(daemon, f"/api/v1/evaluations?limit=1000&all=true&trace_id={trace(1)}")["evaluations"]
    assert len(records) == len(before) > 10
    spans = [one.get("spanId", "") for one in records]
    assert sorted(spans) == sorted(one["span_id"] for one in before), "each stands on the span that it judges"
    marker = json.loads(json.dumps(next(one for one in records if "spanId" not in one)))
    for attribute in marker["attributes"]:
        if attribute["key"] == "gen_ai.evaluation.name":
            attribute["value"]["stringValue"] = "marker"
        if attribute["key"] == "spanmeter.evaluation.kind":
            attribute["value"]["stringValue"] = "judge"
    records.append(marker)
    body = json.dumps(exported).encode()
    sent = urllib.request.Request(f"{daemon.http}/v1/logs", body, {"content-type": "application/json"})
    urllib.request.urlopen(sent).close()
    wait_until(lambda: trace(1) in found_by(daemon, "marker"), 30, "the last record")
    after = get(daemon, f"/api/v1/evaluations?limit=1000&all=true&trace_id={trace(1)}")["evaluations"]
    assert [one for one in after if one["evaluator"] != "marker"] == before

    # The last record says that it is a judge's, with which nobody has agreed yet.
    (judged,) = [one for one in get(daemon, f"/api/v1/runs/{trace(1)}")["evaluations"] if one["kind"] == "judge"]
    assert judged["calibrated"] is False
    checks = [one for one in get(daemon, f"/api/v1/runs/{trace(1)}")["evaluations"] if one["kind"] == "check"]
    assert {one["calibrated"] for one in checks} == {None}
    assert "uncalibrated" in daemon.get(f"/runs/{trace(1)}")[1].decode()


def test_evaluations_as_protobuf(daemon: Daemon) -> None:
    made = urllib.request.Request(
        f"{daemon.web}/api/v1/evaluations?format=otlp&limit=5", headers={"accept": "application/x-protobuf"}
    )
    with urllib.request.urlopen(made) as response:
        message = ExportLogsServiceRequest.FromString(response.read())
        following = response.headers["spanmeter-next"]
    (records,) = [scope.log_records for resource in message.resource_logs for scope in resource.scope_logs]
    assert len(records) == 5
    assert {record.event_name for record in records} == {"gen_ai.evaluation.result"}
    rest = get(daemon, f"/api/v1/evaluations?format=otlp&limit=1000&after={following}")
    everything = get(daemon, "/api/v1/evaluations?limit=1000")["evaluations"]
    assert len(rest["resourceLogs"][0]["scopeLogs"][0]["logRecords"]) == len(everything) - 5


def test_documents_have_verdicts(daemon: Daemon) -> None:
    path = f"/api/v1/runs/{trace(3)}/export"
    document = get(daemon, path)
    assert {one["evaluator"] for one in document["evaluations"]} == {"cheap", "short", "long-talk", "cased", "program"}
    assert any(one["answer"] for one in document["rounds"])
    for format_ in ("html", "md"):
        team, client = (
            daemon.get(f"{path}?format={format_}&audience={audience}")[1].decode() for audience in ("team", "client")
        )
        assert "more than 0.000001" in team
        assert "cheap" in client
        assert "more than 0.000001" not in client, "a reason may have costs in it"


def test_labels_by_page(daemon: Daemon) -> None:
    page = daemon.get(f"/runs/{trace(2)}")[1].decode()
    assert f'action="/runs/{trace(2)}/labels"' in page
    assert "<option>cheap</option>" in page
    fields = {"evaluator": "cheap", "verdict": "pass", "reason": "It <b>is</b> cheap."}
    assert form(daemon, 2, fields, None)[0] == 403
    assert form(daemon, 2, fields, "http://evil.example")[0] == 403
    assert form(daemon, 2, {"evaluator": "cheap"}, daemon.web)[0] == 400
    assert form(daemon, 2, {**fields, "evaluator": "nobody"}, daemon.web)[0] == 404
    assert form(daemon, 2, fields, daemon.web) == (200, f"{daemon.web}/runs/{trace(2)}")
    labels = get(daemon, f"/api/v1/evaluations?kind=human&trace_id={trace(2)}")["evaluations"]
    assert [(one["verdict"], one["reason"], one["labeler"]) for one in labels] == [
        ("pass", "It <b>is</b> cheap.", "anonymous")
    ]
    shown = daemon.get(f"/runs/{trace(2)}")[1].decode()
    assert "It &lt;b&gt;is&lt;/b&gt; cheap." in shown
    span_id = next(
        one["span_id"] for one in get(daemon, f"/api/v1/runs/{trace(2)}")["evaluations"] if one["evaluator"] == "short"
    )
    of_span = {"evaluator": "short", "verdict": "fail", "span_id": span_id}
    assert f'name="span_id" value="{span_id}"' in daemon.get(f"/runs/{trace(2)}/spans/{span_id}")[1].decode()
    assert form(daemon, 2, of_span, daemon.web) == (200, f"{daemon.web}/runs/{trace(2)}/spans/{span_id}")


def test_a_gate_over_a_batch_of_a_daemon(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("evaluators:\n- {name: window, kind: output_contains, value: refunded}\n")
    command = [sys.executable, "-m", "collector", "gate", "check", "-f", str(tmp_path / "gate.yaml"), "--batch", "ci-7"]
    done = subprocess.run([*command, "--url", daemon.web], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / ".spanmeter/last/record.json").read_text())
    assert {case: [one["trace_id"] for one in trials] for case, trials in record["cases"].items()} == {
        "refund": [trace(3)]
    }
    assert found_by(daemon, "window") == {}, "what a gate finds stays here, unless it is sent"
    sent = [*command, "--url", daemon.web, "--otlp-url", daemon.http]
    subprocess.run(sent, capture_output=True, text=True, check=True)
    wait_until(lambda: trace(3) in found_by(daemon, "window"), 30, "the verdict")
    one = found_by(daemon, "window")[trace(3)]
    assert (one["kind"], one["verdict"], one["batch"], one["case"]) == ("check", "pass", "ci-7", "refund")
    assert one["at"] > "2026"
    none = subprocess.run([*command[:-1], "ci-8", "--url", daemon.web], capture_output=True, text=True, check=False)
    assert none.returncode == 4, "a gate without a case never passes"
