"""Programs as evaluators: what they are told, what they may do, and what comes of answers that are none."""

import json
import sys
from pathlib import Path

import pytest

from collector.config.checks import Command
from collector.evals.commands import check_command, told
from collector.evals.finding import Finding
from collector.evals.subject import Subject
from collector.model.evaluations import EvalStatus, Verdict
from tests.support.judged import run

SUBJECT = Subject(run([["a"], ["b"]]))


def find(code: str, **settings: object) -> Finding:
    check = Command.model_validate({"kind": "command", "argv": [sys.executable, "-c", code], **settings})
    return check_command(check, SUBJECT)


def test_a_program_reads_the_run_and_answers() -> None:
    found = find(
        "import json, sys; run = json.load(sys.stdin)\n"
        "print(json.dumps({'verdict': 'fail', 'score': 0.25, 'label': 'odd', 'reason': run['rounds'][0]['actions'][0]['name']}))"
    )
    assert (found.status, found.verdict, found.score) == (EvalStatus.OK, Verdict.FAIL, 0.25)
    assert (found.reason, found.label) == ("a", "odd")
    scored = find("print('{\"score\": 1}')")
    assert (scored.status, scored.verdict, scored.score) == (EvalStatus.OK, Verdict.NONE, 1.0)


def test_it_has_no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    code = "import json, os; print(json.dumps({'verdict': 'pass', 'reason': ' '.join(sorted(os.environ))}))"
    assert find(code).reason == "HOME LANG PATH TMPDIR"
    where = find("import json, os; print(json.dumps({'verdict': 'pass', 'reason': os.getcwd()}))").reason
    assert not Path(where).exists(), "its directory is removed"


@pytest.mark.parametrize(
    ("code", "settings", "reason"),
    [
        ("import time; time.sleep(60)", {"timeout": "300ms"}, "took longer than 0.3 s"),
        ("x = 'a' * 2**30", {"max_memory": "128MiB"}, "MemoryError"),
        ("print('x' * 2**22)", {}, "File too large"),
        ("raise SystemExit('no reservation')", {}, "exit code 1: no reservation"),
        ("import os; os.kill(os.getpid(), 9)", {}, "the signal SIGKILL"),
        ("", {}, "no verdict"),
        ("print('[]')", {}, "no JSON object"),
        ("print('{}')", {}, "neither verdict nor score"),
        ('print(\'{"verdict": "good"}\')', {}, "not pass or fail"),
        ("print('{\"score\": NaN}')", {}, "NaN"),
        ("print('{\"score\": 7}')", {}, "not between 0 and 1"),
        ('print(\'{"verdict": "pass", "cost": 1}\')', {}, "it has 'cost'"),
        ('print(\'{"verdict": "pass", "reason": 1}\')', {}, "its reason is no text"),
    ],
)
def test_all_else_is_an_error(code: str, settings: dict[str, object], reason: str) -> None:
    found = find(code, **settings)
    assert (found.status, found.verdict, found.error_type) == (EvalStatus.ERROR, Verdict.NONE, "command")
    assert reason in found.reason


def test_a_program_that_is_not_there() -> None:
    check = Command.model_validate({"kind": "command", "argv": ["/no/such/program"]})
    assert "cannot be started" in check_command(check, SUBJECT).reason


def test_it_is_told_all_that_was_said() -> None:
    found = json.loads(json.dumps(told(SUBJECT)))
    assert [one["requests"][0]["name"] for one in found["rounds"][:2]] == ["a", "b"]
    assert len(found["spans"]) == len(SUBJECT.run.spans)
