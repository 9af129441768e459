"""`spanmeter gate` as people run it: a command that exports by the real SDK, a daemon for its time, exit codes, files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import psutil
import pytest

from tests.support.judge_server import judge_server
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

AGENT = """
import json, sys
from opentelemetry import baggage, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("agent")
days, tokens, failing, code = (int(word) for word in sys.argv[1:])

def message(role, text):
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])

for n in range(30):
    named = {"spanmeter.case": f"order-{n:02}", "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}
    with tracer.start_as_current_span("agent", attributes=named):
        call = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
        call |= {"gen_ai.usage.input_tokens": 100 + 10 * n, "gen_ai.usage.output_tokens": tokens + n % 3}
        call["gen_ai.input.messages"] = message("user", f"May I return order {n}?")
        call["gen_ai.output.messages"] = message("assistant", f"Within {days if n < failing else 30} days.")
        tracer.start_span("chat gpt-4o-mini", attributes=call).end()
provider.shutdown()
sys.exit(code)
"""
POLICY = """
evaluators:
  - {name: window, kind: output_contains, value: 30 days}
required: [order-29]
"""


class Repository:
    """A directory with an agent and a policy."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "agent.py").write_text(AGENT)
        self.policy(POLICY)

    def policy(self, text: str) -> None:
        (self.directory / "gate.yaml").write_text(text)

    def gate(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "collector", "gate", *arguments]
        environment = os.environ | {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
            "PYTHONPATH": str(Path.cwd()),
        }
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False)

    def run(
        self, days: int = 30, tokens: int = 20, failing: int = 0, code: int = 0
    ) -> "subprocess.CompletedProcess[str]":
        words = [str(word) for word in (days, tokens, failing, code)]
        reports = ["--json", "out.json", "--junit", "out.xml", "--markdown", "out.md"]
        return self.gate("run", *reports, "--", sys.executable, "agent.py", *words)

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "out.json").read_text())
        return found


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("gate"))


def test_a_gate_from_the_first_run_to_a_regression(repository: Repository) -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs/gate-result.schema.json").read_text())
    first = repository.run()
    assert first.returncode == 0, first.stderr
    assert "There is no approved baseline: nothing was compared." in first.stdout
    assert repository.gate("baseline", "approve", "--by", "Ada").returncode == 0

    same = repository.run()
    assert same.returncode == 0, same.stderr
    assert {one["conclusion"] for one in repository.result()["metrics"]} <= {"not worse", "cannot tell"}

    worse = repository.run(days=60, tokens=60, failing=12)
    assert worse.returncode == 1, worse.stderr
    result = repository.result()
    jsonschema.validate(result, schema)
    assert [one["conclusion"] for one in result["metrics"]] == ["regressed", "regressed"]
    assert len(result["newly_failing"]) == 12
    assert (repository.directory / "out.md").read_text().count("\n| order-") == 20
    suite = ET.fromstring((repository.directory / "out.xml").read_text()).find("testsuite[@name='window']")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("30", "12")

    again = repository.gate("check")
    assert again.returncode == 1
    assert again.stdout == worse.stdout


def test_exit_codes(repository: Repository) -> None:
    assert repository.run(code=3).returncode == 1
    assert "The command ended with exit code 3." in repository.run(code=3).stdout
    assert repository.gate("run").returncode == 2
    assert repository.gate("run", "--", "/no/such/command").returncode == 3
    nothing = repository.gate("run", "--patience", "3", "--", sys.executable, "-c", "")
    assert nothing.returncode == 4
    assert "No run of a case arrived" in nothing.stdout
    repository.policy(POLICY.replace("30 days", "31 days"))
    changed = repository.run()
    assert changed.returncode == 1, "the required case fails"
    repository.policy(POLICY.replace("30 days", "30 day").replace("required: [order-29]", ""))
    assert repository.run().returncode == 2, "the evaluator is another"


def test_judges_leave_receipts_and_noise_is_measured(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    with judge_server() as server:
        judges = f"judges: {{house: {{base_url: '{server.url}', model: fake-flip, allow_private: true}}}}"
        evaluator = "evaluators: [{name: kind, kind: judge, rubric: Is it kind}]"
        repository.policy(f"{judges}\n{evaluator}\nbudget: {{max_calls: 40}}\n")
        run = repository.run()
        assert run.returncode == 0, run.stderr
        assert len(server.asked) == 30
        noise = repository.gate("noise")
        assert noise.returncode == 0, noise.stderr
        assert "of its verdicts turned" in noise.stdout
        assert len(server.asked) == 90


def test_the_example_for_the_demo(tmp_path: Path) -> None:
    examples = Path(__file__).parents[2] / "docs/examples"
    for name in ("gate.yaml", "evaluators.yaml"):
        (tmp_path / name).write_text((examples / name).read_text())
    command = [sys.executable, "-m", "collector", "gate", "run", "-f", str(tmp_path / "gate.yaml"), "--"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "collector.demo.cases"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / ".spanmeter/last/record.json").read_text())
    assert sorted(record["cases"]) == ["a weekend", "one free day", "with children"]
    verdicts = {one["verdict"] for trials in record["cases"].values() for one in trials[0]["outcomes"].values()}
    assert verdicts == {"pass"}


def test_a_gate_that_is_killed_leaves_the_last_one_and_no_daemon(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert repository.run().returncode == 0
    kept = {path.name: path.read_bytes() for path in (tmp_path / ".spanmeter/last").iterdir()}
    command = [
        sys.executable,
        "-m",
        "collector",
        "gate",
        "run",
        "--",
        sys.executable,
        "-c",
        "import time; time.sleep(600)",
    ]
    gate = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(Path.cwd())}, start_new_session=True
    )
    try:
        children = psutil.Process(gate.pid).children
        wait_until(lambda: len(children()) == 2, 90, "the daemon, and the command")
        left = children()
    finally:
        gate.kill()
        gate.wait()
    daemon = next(one for one in left if "serve" in one.cmdline())
    wait_until(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE, 60, "the daemon's end")
    assert {path.name: path.read_bytes() for path in (tmp_path / ".spanmeter/last").iterdir()} == kept
    for one in left:
        if one.is_running():
            one.kill()
    assert repository.gate("check").returncode == 0, "what was recorded before can still be judged"
