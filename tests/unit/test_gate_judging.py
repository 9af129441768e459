"""From runs to questions, verdicts and trials: with a real judge's server, without a daemon."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from collector.errors import ConfigError
from collector.evals.evaluator import Evaluator
from collector.evals.questions import judge_check, question_of, with_judge
from collector.evals.subject import Subject
from collector.gate.collect import CaseRun, evaluations_of, outcome_of, trial_of
from collector.gate.judging import judge_all
from collector.gate.policy import Loaded, load_policy
from collector.model.clock import SystemClock
from collector.model.evaluations import EvalStatus, Evaluation, Verdict
from tests.support.judge_server import JudgeServer, judge_server
from tests.support.judged import run

POLICY = """
judges:
  house: {{base_url: "{url}", model: {model}, allow_private: true}}
evaluators:
  - {{name: cheap, kind: bound, metric: cost_usd, max: 1}}
  - {{name: kind, kind: judge, sees: [input, output, trajectory, tools, attribute.none], rubric: "Is it kind?"}}
budget: {budget}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


def loaded(tmp_path: Path, server: JudgeServer, model: str, budget: str = "{}") -> Loaded:
    path = tmp_path / "gate.yaml"
    path.write_text(POLICY.format(url=server.url, model=model, budget=budget))
    return load_policy(path)


def runs(count: int) -> list[CaseRun]:
    empty = pa.table({})
    return [
        CaseRun(f"c{n}", guessed=False, trace_id=f"{n:032x}", input_hash="in", run=run([["search"]]), table=empty)
        for n in range(count)
    ]


def judged(policy: Loaded, count: int) -> tuple[dict[str, list[Evaluation]], list[bytes]]:
    spans: list[bytes] = []
    steps: list[tuple[int, int]] = []
    evaluators = [with_judge(Evaluator(config), policy.policy.judges) for config in policy.evaluators]
    found = judge_all(
        policy, evaluators, runs(count), "gate-1", SystemClock(), spans.append, lambda *step: steps.append(step)
    )
    assert steps == [(n, count) for n in range(1, count + 1)]
    return found, spans


def test_every_run_is_judged_and_every_judgement_has_its_spans(tmp_path: Path, server: JudgeServer) -> None:
    found, spans = judged(loaded(tmp_path, server, "fake-pass", "{max_calls: 50}"), 6)
    assert len(found) == len(spans) == 6
    assert {row.verdict for rows in found.values() for row in rows} == {Verdict.PASS}
    assert {row.receipt.cost for rows in found.values() for row in rows} == {None}, "nobody knows the model's price"


def test_an_unpriced_judge_is_not_asked_without_a_number_of_calls(tmp_path: Path, server: JudgeServer) -> None:
    server.asked.clear()
    found, _ = judged(loaded(tmp_path, server, "fake-pass"), 2)
    assert [row.error_type for rows in found.values() for row in rows] == ["unpriced", "unpriced"]
    assert server.asked == []


def test_selection_is_judged_and_error_and_skipped(tmp_path: Path, server: JudgeServer) -> None:
    found, _ = judged(loaded(tmp_path, server, "fake-flip", "{max_calls: 4}"), 7)
    statuses = [row.status for rows in found.values() for row in rows]
    assert sorted(statuses) == ["ok"] * 4 + ["skipped"] * 3


def test_a_trial_holds_what_all_evaluators_found(tmp_path: Path, server: JudgeServer) -> None:
    policy = loaded(tmp_path, server, "fake-fail", "{max_calls: 9}")
    [one] = runs(1)
    evaluators = [with_judge(Evaluator(config), policy.policy.judges) for config in policy.evaluators]
    found, _ = judged(policy, 1)
    trial = trial_of(one, [*evaluations_of(one, evaluators, "default", "gate-1"), *found[one.trace_id]])
    assert {name: outcome.verdict for name, outcome in trial.outcomes.items()} == {"cheap": "pass", "kind": "fail"}
    assert trial.passed is False
    assert trial.figures["cost_usd"] == pytest.approx(0.02)
    assert trial.figures["actions"] == 1


def test_a_question_shows_what_was_asked_for_and_is_there(tmp_path: Path, server: JudgeServer) -> None:
    policy = loaded(tmp_path, server, "fake-pass")
    evaluator = Evaluator(policy.evaluators[1])
    check = judge_check(evaluator)
    assert check is not None
    question = question_of(evaluator.name, check, Subject(run([["search"]], "All done.")))
    assert question is not None
    assert set(question.shown) <= {"input", "output", "trajectory", "tools"}
    assert {"output", "trajectory"} <= set(question.shown)
    assert ("Output" in {field.name for field in question.fields}) or ("answer" in {f.name for f in question.fields})
    other = question_of(evaluator.name, check, Subject(run([["search"]], "All gone.")))
    assert other is not None
    assert other.input_hash != question.input_hash


def test_another_judge_is_another_revision(tmp_path: Path, server: JudgeServer) -> None:
    revisions = set()
    for model in ("fake-pass", "fake-fail"):
        policy = loaded(tmp_path, server, model)
        revisions.add(with_judge(Evaluator(policy.evaluators[1]), policy.policy.judges).revision)
    assert len(revisions) == 2


def test_a_judge_that_is_not_there(tmp_path: Path, server: JudgeServer) -> None:
    policy = loaded(tmp_path, server, "fake-pass")
    with pytest.raises(ConfigError, match="The evaluator kind cannot be used: it names none of the judges"):
        with_judge(Evaluator(policy.evaluators[1]), {})


def row(status: EvalStatus, verdict: Verdict = Verdict.NONE, score: float | None = None) -> Evaluation:
    return Evaluation("default", "t", "e", status=status, verdict=verdict, score=score)


def test_of_several_spans_the_worst_decides() -> None:
    good, bad = row(EvalStatus.OK, Verdict.PASS, 1.0), row(EvalStatus.OK, Verdict.FAIL, 0.0)
    skipped, broken = row(EvalStatus.SKIPPED), row(EvalStatus.ERROR)
    assert outcome_of([good, skipped]).verdict is Verdict.PASS
    assert (outcome_of([good, bad]).verdict, outcome_of([good, bad]).score) == (Verdict.FAIL, 0.5)
    assert outcome_of([good, bad, broken]).status is EvalStatus.ERROR
    assert outcome_of([skipped]).status is EvalStatus.SKIPPED
