"""What a gate decides, and how it says so."""

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from collector.errors import ConfigError
from collector.gate.comment import MARKER, MAX_CHARACTERS, comment, fenced, plain
from collector.gate.compare import Conclusion, Method, compare
from collector.gate.decide import Check, Decided, Exit, decide
from collector.gate.junit import junit_xml
from collector.gate.policy import Loaded, MetricConfig, load_policy
from collector.gate.record import Outcome, Record, Trial, flips, read_baseline, write_baseline
from collector.gate.result import result_json, result_of
from collector.gate.words import headline, warnings
from collector.model.evaluations import EvalStatus, Verdict

EVALUATOR = "answers"
POLICY = """
evaluators:
  - {name: answers, kind: output_contains, value: "30 days"}
"""
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/gate-result.schema.json").read_text())


def policy(tmp_path: Path, more: str = "") -> Loaded:
    path = tmp_path / "gate.yaml"
    path.write_text(POLICY + more)
    return load_policy(path)


def policy_of(decided: Decided) -> Loaded:
    return decided.loaded


def outcome(passed: bool | None = True, **more: object) -> Outcome:
    verdict = Verdict.NONE if passed is None else Verdict.PASS if passed else Verdict.FAIL
    status = EvalStatus.SKIPPED if passed is None else EvalStatus.OK
    given = {"status": status, "verdict": verdict, "reason": "It says so." if passed else "It says 60 days."}
    return Outcome(**(given | more))  # type: ignore[arg-type]


def trial(passed: bool | None = True, cost: float | None = 0.01, **more: object) -> Trial:
    figures = {} if cost is None else {"cost_usd": cost, "duration_ms": 1200.0}
    return Trial("ab" * 16, "in", outcomes={EVALUATOR: outcome(passed)}, figures=figures, **more)  # type: ignore[arg-type]


def record(
    verdicts: Sequence[bool] | Mapping[str, Sequence[bool]], costs: Sequence[float] = (), *, by: str = "Ada"
) -> Record:
    named = verdicts if isinstance(verdicts, Mapping) else {f"c{n:03}": [one] for n, one in enumerate(verdicts)}
    price = iter(costs) if costs else iter(lambda: 0.01, None)
    cases = {name: tuple(trial(one, next(price)) for one in several) for name, several in named.items()}
    return Record({EVALUATOR: "r1"}, cases, approved_by=by)


def codes(decided: Decided) -> dict[str, bool]:
    return {check.name: check.passed for check in decided.checks}


def test_the_same_again_passes_and_says_how_much_it_could_have_seen(tmp_path: Path) -> None:
    same = record([True] * 90 + [False] * 10)
    decided = decide(policy(tmp_path), same, same)
    assert decided.exit is Exit.PASSED
    assert all(codes(decided).values())
    rate, cost = decided.metrics
    assert (rate.test, rate.change, rate.p, rate.cases, rate.conclusion) == (
        Method.MCNEMAR,
        0,
        1,
        100,
        Conclusion.NOT_WORSE,
    )
    assert rate.interval == pytest.approx((-0.0353, 0.0353), abs=1e-4)
    assert rate.detectable == pytest.approx(0.075, abs=0.011)
    assert (cost.test, cost.change, cost.conclusion) == (Method.LOG_RATIO, 1, Conclusion.NOT_WORSE)


def test_more_failures_than_chance_fail(tmp_path: Path) -> None:
    old, new = record([True] * 100), record([False] * 9 + [True] * 91)
    decided = decide(policy(tmp_path), old, new)
    assert decided.exit is Exit.FAILED
    [rate, _] = decided.metrics
    assert (rate.old, rate.new, rate.worsened, rate.improved) == (1, 0.91, 9, 0)
    assert rate.p == pytest.approx(2 * 0.5**9 - 0.5**9)
    assert rate.conclusion is Conclusion.REGRESSED
    assert len(decided.newly_failing) == 9
    assert headline(decided).startswith("Failed, with 100 cases: pass_rate of answers regressed.")


def test_a_dearer_agent_fails_and_a_cheaper_one_does_not(tmp_path: Path) -> None:
    spread = [0.01 * math.exp(random.Random(n).gauss(0, 1)) for n in range(60)]
    noise = [math.exp(random.Random(-n).gauss(0, 0.2)) for n in range(60)]
    old = record([True] * 60, spread)
    for factor, expected in ((1.3, Exit.FAILED), (1.05, Exit.PASSED), (0.7, Exit.PASSED)):
        new = record([True] * 60, [one * factor * other for one, other in zip(spread, noise, strict=True)])
        decided = decide(policy(tmp_path), old, new)
        assert decided.exit is expected, factor
        assert decided.metrics[1].interval is not None
        assert decided.metrics[1].interval.low < factor < decided.metrics[1].interval.high


def test_what_is_too_small_to_count_does_not_fail(tmp_path: Path) -> None:
    old, new = record([True] * 200), record([False] * 8 + [True] * 192)
    metrics = "metrics: [{metric: pass_rate, min_effect: %s, margin: 0.2}]\n"
    assert decide(policy(tmp_path, metrics % 0.05), old, new).exit is Exit.PASSED
    assert decide(policy(tmp_path, metrics % 0.03), old, new).exit is Exit.FAILED


def test_few_cases_cannot_tell_and_a_strict_gate_fails_of_it(tmp_path: Path) -> None:
    old, new = record([True] * 12), record([False] * 2 + [True] * 10)
    relaxed = decide(policy(tmp_path), old, new)
    assert relaxed.metrics[0].conclusion is Conclusion.CANNOT_TELL
    assert relaxed.exit is Exit.PASSED
    assert any("not a statistic" in warning for warning in warnings(relaxed))
    assert decide(policy(tmp_path, "strict: true\n"), old, new).exit is Exit.CANNOT_TELL


def test_trials_are_averaged_as_the_case_is_the_unit(tmp_path: Path) -> None:
    old = record({f"c{n}": [True, True, True] for n in range(10)})
    new = record({f"c{n}": [True, n > 6, True] for n in range(10)})
    decided = decide(policy(tmp_path, "trials: 3\n"), old, new)
    rate = decided.metrics[0]
    assert (rate.test, rate.cases, rate.worsened) == (Method.SIGN_FLIP, 10, 7)
    assert rate.change == pytest.approx(-7 / 30)
    assert rate.p == 2 / 2**7
    assert decided.exit is Exit.FAILED
    assert decided.newly_failing == ()


def test_a_protected_case_newly_fails_by_the_majority_of_its_trials(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(20)]
    old = record({name: [True, True, True] for name in names})
    new = record({name: [True, True, True] for name in names} | {"c3": [False, True, False], "c4": [True, False, True]})
    decided = decide(policy(tmp_path, "trials: 3\n"), old, new)
    assert (decided.newly_failing, decided.exit) == (("c3",), Exit.FAILED)
    assert not codes(decided)["protected"]
    assert decide(policy(tmp_path, "trials: 3\nprotected: []\n"), old, new).exit is Exit.PASSED
    once = decide(policy(tmp_path), record([True] * 40), record([False] + [True] * 39))
    assert (once.newly_failing, once.exit) == (("c000",), Exit.PASSED)
    assert decide(policy(tmp_path, 'protected: "c*"\n'), record([True] * 40), record([False] + [True] * 39)).exit == 1


def test_required_cases_pass_whatever_they_did_before(tmp_path: Path) -> None:
    failing = record({"refund": [False], "greeting": [True]})
    loaded = policy(tmp_path, "required: [ref*]\n")
    decided = decide(loaded, None, failing)
    assert decided.exit is Exit.FAILED
    assert dict(zip(("name", "problems"), (decided.checks[2].name, decided.checks[2].problems), strict=True)) == {
        "name": "required",
        "problems": ("The case 'refund' fails: answers: It says 60 days.",),
    }
    gone = decide(loaded, None, record({"greeting": [True]}))
    assert gone.exit is Exit.INCOMPLETE
    assert gone.checks[0].problems == ("No case matches 'ref*', which is required.",)
    assert decide(loaded, None, record({"refund": [True]})).exit is Exit.PASSED


INCOMPLETE: dict[str, tuple[dict[str, Sequence[Trial]], str]] = {
    "nothing arrived": ({}, "No run of a case arrived"),
    "one is missing": ({"a": [trial()]}, "The case 'b' did not run."),
    "one is unexpected": ({"a": [trial()], "b": [trial()], "c": [trial()]}, "The case 'c' is not expected."),
    "one ran twice": ({"a": [trial(), trial()], "b": [trial()]}, "The case 'a' ran 2 times, and 1 are expected."),
    "a call has no price": ({"a": [trial(unpriced=True)], "b": [trial()]}, "The case 'a' has calls without a price."),
    "an evaluator failed": (
        {"a": [Trial("t", "in", outcomes={EVALUATOR: Outcome(EvalStatus.ERROR, reason="It broke.")})], "b": [trial()]},
        "The evaluator answers failed on 'a': It broke.",
    ),
    "a suspect pass": (
        {"a": [Trial("t", "in", outcomes={EVALUATOR: outcome(flags=("suspect_injection",))})], "b": [trial()]},
        "a person has to look at it",
    ),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_an_incomplete_gate_neither_passes_nor_fails(tmp_path: Path, name: str) -> None:
    cases, problem = INCOMPLETE[name]
    old = record({"a": [True], "b": [True]})
    decided = decide(policy(tmp_path), old, Record({EVALUATOR: "r1"}, cases))
    assert decided.exit is Exit.INCOMPLETE
    assert problem in "".join(decided.checks[0].problems)


def test_a_suspect_fail_is_believed(tmp_path: Path) -> None:
    cases = {"a": [Trial("t", outcomes={EVALUATOR: outcome(passed=False, flags=("suspect_injection",))})]}
    assert decide(policy(tmp_path), None, Record({EVALUATOR: "r1"}, cases)).exit is Exit.PASSED


@pytest.mark.parametrize(
    ("old", "problem"),
    [
        (record([True], by=""), "The baseline is not approved."),
        (Record({EVALUATOR: "r0"}, record([True]).cases, "Ada"), "The evaluator answers has changed"),
        (Record({}, record([True]).cases, "Ada"), "The evaluator answers is new"),
        (Record({EVALUATOR: "r1"}, {"c000": [Trial("t", "other")]}, "Ada"), "The input of the case 'c000' has changed"),
    ],
)
def test_what_cannot_be_compared_is_not(tmp_path: Path, old: Record, problem: str) -> None:
    decided = decide(policy(tmp_path), old, record([True]))
    assert decided.exit is Exit.BAD_CONFIG
    assert problem in "".join(decided.checks[1].problems)
    assert decided.metrics == ()


LIMITS = {
    "{metric: cost_usd, max: 0.02}": True,
    "{metric: cost_usd, of: total, max: 0.02}": False,
    "{metric: cost_usd, of: case, max: 0.005}": False,
    "{metric: pass_rate, min: 0.9}": True,
    "{metric: pass_rate, evaluator: answers, min: 1.1}": False,
    "{metric: ttft_ms, max: 100}": False,
}


@pytest.mark.parametrize("limit", LIMITS)
def test_limits_hold_without_a_baseline(tmp_path: Path, limit: str) -> None:
    decided = decide(policy(tmp_path, f"limits: [{limit}]\n"), None, record([True] * 4))
    assert decided.exit is (Exit.PASSED if LIMITS[limit] else Exit.FAILED)


def test_the_worst_decides(tmp_path: Path) -> None:
    new = record({"a": [False]})
    decided = decide(policy(tmp_path, "required: a\ncases: [a, b]\n"), record({"a": [True]}, by=""), new)
    assert codes(decided) | {"limits": True} == codes(decided)
    assert {name for name, passed in codes(decided).items() if not passed} == {"complete", "comparable", "required"}
    assert decided.exit is Exit.FAILED


def test_several_metrics_are_corrected_for_being_several(tmp_path: Path) -> None:
    old, new = record([True] * 100), record([False] * 6 + [True] * 94)
    [alone] = compare([MetricConfig(metric="pass_rate")], old, new, 0.05)
    metrics = [MetricConfig(metric="pass_rate"), MetricConfig(metric="pass_rate", evaluator=EVALUATOR)]
    several = compare([*metrics, MetricConfig(metric="cost_usd", gating=False)], old, new, 0.05)
    assert alone.adjusted_p == alone.p == several[0].p
    assert several[0].adjusted_p == 2 * alone.p
    assert several[2].adjusted_p == several[2].p


def test_what_a_judge_contradicts_itself_in_is_no_difference(tmp_path: Path) -> None:
    old, new = record([True] * 100), record([False] * 8 + [True] * 92)
    noisy = Record(new.evaluators, new.cases, flip_rates={EVALUATOR: 0.1})
    assert decide(policy(tmp_path), old, new).exit is Exit.FAILED
    decided = decide(policy(tmp_path), old, noisy)
    assert decided.exit is Exit.PASSED
    assert "contradicts itself in 10%" in " ".join(warnings(decided))


def test_flips_are_those_of_the_same_trials_judged_twice() -> None:
    first = record({"a": [True, True], "b": [False], "c": [True]})
    second = record({"a": [True, False], "b": [False], "d": [True]})
    assert flips(first, second) == {EVALUATOR: pytest.approx(1 / 3)}


def test_a_baseline_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "baseline.json"
    assert read_baseline(path) is None
    given = Record({EVALUATOR: "r1"}, {"a\u2603": (trial(), trial(None, None))}, "Ada", judge_usd=Decimal("0.01"))
    write_baseline(path, given)
    assert read_baseline(path) == given
    for text in ("{}", "[]", "no", '{"format": 9}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match="make it anew"):
            read_baseline(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "needs evaluators or evaluator_files"),
        (POLICY + "metrics: [{metric: pass_rate, evaluator: answer}]", "no evaluator is named 'answer'.*answers"),
        (POLICY + "metrics: [{metric: score}]", "needs an evaluator"),
        (POLICY + "limits: [{metric: cost_usd}]", "needs min, max or both"),
        (POLICY + "alhpa: 0.1", "alhpa"),
        (POLICY + "evaluator_files: [none/*.yaml]", "no file is named"),
    ],
)
def test_a_policy_that_cannot_be_used(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "gate.yaml").write_text(text)
    with pytest.raises(ConfigError, match=sentence):
        load_policy(tmp_path / "gate.yaml")


HOSTILE = "@all ![x](http://evil) `````\n</details><script>\x00\x1b | **b** ```\nhttps://evil.example"


@pytest.fixture
def hostile(tmp_path: Path) -> Decided:
    names = [f"c{n} {HOSTILE}" for n in range(30)]
    good = {name: (trial(),) for name in names}
    bad = {name: (Trial("t", "in", outcomes={EVALUATOR: outcome(passed=False, reason=HOSTILE)}),) for name in names}
    old, new = Record({EVALUATOR: "r1"}, good, "Ada"), Record({EVALUATOR: "r1"}, bad)
    return decide(policy(tmp_path, 'protected: "*"\n'), old, new)


def test_results_fit_their_schema(tmp_path: Path, hostile: Decided) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for decided in (
        hostile,
        decide(policy(tmp_path), None, record([True])),
        decide(policy(tmp_path), None, Record({}, {})),
    ):
        jsonschema.validate(json.loads(result_json(decided)), SCHEMA)
        assert result_of(decided)["exit"] == decided.exit


def test_junit_has_a_case_for_each_case_and_evaluator(hostile: Decided) -> None:
    root = ET.fromstring(junit_xml(hostile))
    suite = root.find("testsuite[@name='answers']")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("30", "30", "0")
    assert len(suite.findall("testcase/failure")) == 30


def test_junit_never_passes_what_was_skipped(tmp_path: Path) -> None:
    outcomes = {
        "ok": trial(),
        "no": trial(None),
        "broken": Trial("t", outcomes={EVALUATOR: Outcome(EvalStatus.ERROR)}),
        "none": Trial("t"),
    }
    decided = decide(
        policy(tmp_path), None, Record({EVALUATOR: "r1"}, {name: (one,) for name, one in outcomes.items()})
    )
    root = ET.fromstring(junit_xml(decided, "https://spans.example/runs/"))
    kinds = {
        case.get("name"): [child.tag for child in case][1:]
        for case in root.findall("testsuite[@name='answers']/testcase")
    }
    assert kinds == {"ok": [], "no": ["skipped"], "broken": ["error"], "none": ["skipped"]}
    values = [one.get("value") for one in root.findall(".//testcase[@name='ok']/properties/property")]
    assert values == ["https://spans.example/runs/" + "ab" * 16, "0.010000000000"]


def test_a_comment_shows_traces_as_text(hostile: Decided) -> None:
    text = comment(hostile, "https://spans.example/runs/")
    assert text.startswith(MARKER)
    outside = text.replace("[trace](https://spans.example/runs/t)", "")
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", outside, flags=re.DOTALL | re.MULTILINE)
    for sign in (r"(?<!\\)<script", "@all", r"(?<!\\)\]", "https://evil", r"(?<!\\)\*b"):
        assert not re.search(sign, outside.replace(MARKER, "")), sign
    assert "could have seen" in text
    assert "| pass | fail |" not in text, "no cost is known of the new side"
    dearer = comment(decide(policy_of(hostile), record([True], [0.01]), record([False], [0.02])))
    assert "| c000 | pass | fail | $0.010000 | $0.020000 | +100.0 % |" in dearer
    assert "Judging cost $0.000000." in text


def test_a_comment_is_cut_to_what_platforms_take(tmp_path: Path) -> None:
    names = [f"c{n} " + "x" * 3_000 for n in range(60)]
    old = Record({EVALUATOR: "r1"}, {name: (trial(),) for name in names}, "Ada")
    new = Record({EVALUATOR: "r1"}, {name: (trial(passed=False),) for name in names})
    text = comment(decide(policy(tmp_path), old, new), artifact="gate.json")
    assert len(text) <= MAX_CHARACTERS
    assert text.endswith("_Cut here; the whole is in gate.json._\n")
    assert len(re.findall(r"^`{3,}", text, re.MULTILINE)) % 2 == 0


def test_fences_cannot_be_ended_and_text_is_no_markup() -> None:
    assert fenced("a ```` b").startswith("`````text\n")
    assert plain("a\nb  @x *c* [l](http://y)") == "a b @\u200bx \\*c\\* \\[l\\]\\(http:\u200b//y\\)"


def test_exit_codes_are_what_ci_reads() -> None:
    assert [code.value for code in Exit] == [0, 1, 2, 3, 4, 5]
    assert Check("x", (), Exit.FAILED).passed
