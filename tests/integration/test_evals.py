"""Evaluators over stored runs: by a job, by the command line; what they find in REST and in the run's document."""

import hashlib
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
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.agent_runs import request, send, support_agent
from tests.support.daemon import Daemon, running
from tests.support.evals import RUNS, get, judge, post, trace
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


def test_lists_of_runs_by_verdicts(daemon: Daemon) -> None:
    judge(daemon)
    given = {"trace_id": trace(2), "evaluator": "by-hand", "verdict": "fail"}
    assert post(daemon, "/api/v1/evaluations", {"evaluations": [given]})[0] == 201
    everyone = sorted(map(trace, range(1, RUNS + 1)))

    def listed(query: str) -> list[str]:
        return [one["trace_id"] for one in get(daemon, f"/api/v1/runs?{query}")["runs"]]

    assert sorted(listed("verdict=fail")) == sorted(listed("evaluator=cheap")) == everyone
    assert listed("verdict=fail&evaluator=by-hand") == [trace(2)]
    assert listed("verdict=pass&evaluator=cheap") == listed("verdict=error&evaluator=cheap") == []
    assert listed("sort=failed")[0] == trace(2)
    assert listed("sort=failed&order=asc")[-1] == trace(2)
    assert get(daemon, "/api/v1/kpis?verdict=fail&evaluator=by-hand")["window"]["kpis"]["runs"] == 1
    assert sorted(listed("problem=failed_evals")) == sorted(listed("verdict=fail"))
    problems = {one["value"]: one["runs"] for one in get(daemon, "/api/v1/facets")["facets"]["problem"]}
    assert problems["failed_evals"] == len(listed("verdict=fail"))


def test_pages_show_what_was_found(daemon: Daemon) -> None:
    judge(daemon)
    hostile = "<script>alert(1)</script>"
    given = {"trace_id": trace(1), "evaluator": hostile, "verdict": "fail", "reason": hostile, "label": hostile}
    assert post(daemon, "/api/v1/evaluations", {"evaluations": [given]})[0] == 201
    run = daemon.get(f"/runs/{trace(1)}")[1].decode()
    assert "cost_usd is" in run
    assert "Of spans:" in run
    assert hostile not in run
    runs = daemon.get("/runs?verdict=fail&sort=failed")[1].decode()
    assert "Verdicts" in runs
    assert "fail</a>" in runs
    span = get(daemon, f"/api/v1/evaluations?evaluator=short&trace_id={trace(1)}")["evaluations"][0]
    drawer = daemon.get(f"/runs/{trace(1)}/spans/{span['span_id']}?part=drawer")[1].decode()
    assert "duration_ms is" in drawer


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

    printed = spanmeter("run", "-f", str(file), "--since", "2020-01-01").splitlines()[1].split()
    assert printed[:4] == ["mine", str(RUNS), str(RUNS), "0"]
    listed = json.loads(spanmeter("list", "--evaluator", "mine", "--json"))
    assert [one["verdict"] for one in listed] == ["pass"] * RUNS


def test_runs_are_judged_once_they_settle(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "evaluators:\n- {name: cheap, settle: 0s, kind: bound, metric: cost_usd, max: 0.000001}\n"
        "- {name: some, settle: 0s, sample: {rate: 0.5}, kind: finish}\n"
    )
    numbers = range(1, 9)
    with running(tmp_path / "data", config=tmp_path / "config.yaml") as daemon:
        for number in numbers:
            send(daemon.http, request(support_agent(), number, time.time_ns() - 600 * 10**9))

        def found(evaluator: str) -> list[Any]:
            rows: list[Any] = get(daemon, f"/api/v1/evaluations?all=true&evaluator={evaluator}")["evaluations"]
            return rows

        wait_until(lambda: len(found("cheap")) == len(numbers), 60, "every run judged")
        assert {(one["batch"], one["verdict"], one["probability"]) for one in found("cheap")} == {("online", "fail", 1)}
        drawn = {one["trace_id"] for one in found("some")}
        assert drawn == {trace(number) for number in numbers if _draw(trace(number)) < 0.5}
        assert {one["probability"] for one in found("some")} == {0.5}
        assert daemon.metric("spanmeter_evaluations_total", found="fail") == len(numbers)


def _draw(trace_id: str) -> float:
    return int.from_bytes(hashlib.sha256(trace_id.encode()).digest()[:8], "big") / 2**64


def test_evaluations_of_other_tools_become_rows(daemon: Daemon) -> None:
    """Log records, events of spans, and evaluators' spans, as OpenTelemetry's conventions have them."""
    at, trace_id = time.time_ns(), bytes.fromhex(trace(77))
    span = Span(trace_id=trace_id, span_id=b"a" * 8, name="chat m", start_time_unix_nano=at, end_time_unix_nano=at + 9)
    said = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.label": "fail"}
    span.events.add(name="gen_ai.evaluation.result", time_unix_nano=at, attributes=_attributes(said))
    failed = {"gen_ai.evaluation.name": "slow", "gen_ai.evaluation.score.value": "0", "error.type": "timeout"}
    judge = Span(trace_id=trace_id, span_id=b"b" * 8, parent_span_id=b"a" * 8, name="evaluate", start_time_unix_nano=at)
    judge.attributes.extend(_attributes(failed))
    spans = ExportTraceServiceRequest()
    spans.resource_spans.add().scope_spans.add().spans.extend([span, judge])
    record = LogRecord(trace_id=trace_id, span_id=b"a" * 8, time_unix_nano=at, event_name="gen_ai.evaluation.result")
    scored = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.explanation": "On topic."}
    record.attributes.extend(_attributes(scored))
    record.attributes.add(key="gen_ai.evaluation.score.value").value.double_value = 0.75
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.append(record)
    for _ in range(2):  # delivered again, they have the same keys
        for path, message in (("/v1/traces", spans), ("/v1/logs", logs)):
            body = message.SerializeToString()
            made = urllib.request.Request(f"{daemon.http}{path}", body, {"content-type": "application/x-protobuf"})
            with urllib.request.urlopen(made) as response:
                assert response.status == 200
    path = f"/api/v1/evaluations?all=true&trace_id={trace(77)}"
    wait_until(lambda: len(get(daemon, path)["evaluations"]) >= 3, 60, "three evaluations")
    found = {one["evaluator"]: one for one in get(daemon, path)["evaluations"]}
    assert {name: (one["status"], one["verdict"], one["score"]) for name, one in found.items()} == {
        "tone": ("ok", "fail", None),
        "slow": ("error", "", None),
        "relevance": ("ok", "", 0.75),
    }
    assert {one["span_id"] for one in found.values()} == {(b"a" * 8).hex()}
    assert {one["kind"] for one in found.values()} == {"external"}
    assert found["relevance"]["reason"] == "On topic."
    assert found["slow"]["error_type"] == "timeout"
    assert found["slow"]["receipt"]["span_id"] == (b"b" * 8).hex()


def _attributes(said: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=value)) for key, value in said.items()]
