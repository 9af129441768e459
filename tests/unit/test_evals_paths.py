"""Tool paths: every mode, with the words and oracles of the tools that have them too."""

import random
from functools import partial

import pytest

from collector.config.checks import Step
from collector.evals.paths import Taken, f1, matching
from collector.model.evaluations import EvalStatus, Skip, Verdict
from collector.runs import Run, run_of
from tests.support.judged import check, run

A, B, C = ("a", {"x": 1}), ("b", {"y": [1, 2]}), "c"

# What is expected, the path that was taken (rounds of tools), and whether it passes.
MODES = (
    # -- exact, agentevals' strict
    ("mode: exact, steps: [a, b]", [[A], [B]], True),
    ("mode: strict, steps: [a, b]", [[A, B]], True),
    ("mode: strict, steps: [a, b]", [[B], [A]], False),
    ("mode: strict, steps: [a, b]", [[A], [B], [C]], False),
    ("mode: strict, steps: [a, b, c]", [[A], [B]], False),
    ("mode: exact, steps: [[a, b], c]", [[B, A], [C]], True),
    ("mode: exact, steps: [[a, b], c]", [[A], [B], [C]], False),
    ("mode: exact, steps: [[a, a], c]", [[A], [C]], False),
    # -- in_order, as promptfoo has it
    ("mode: in_order, steps: [a, c]", [[A], [B], [C]], True),
    ("mode: in_order, steps: [c, a]", [[A], [B], [C]], False),
    ("mode: in_order, steps: [[a, b], c]", [[C], [B, A], [C]], True),
    ("mode: in_order, steps: [[a, b], c]", [[A], [B], [C]], False),
    # -- same, agentevals' unordered
    ("mode: same, steps: [b, a]", [[A], [B]], True),
    ("mode: unordered, steps: [b, a]", [[A], [B]], True),
    ("mode: unordered, steps: [b, a]", [[A], [B], [B]], False),
    ("mode: unordered, steps: [b, a, a]", [[A], [B]], False),
    # -- at_least, agentevals' superset; at_most, its subset
    ("mode: superset, steps: [b]", [[A], [B]], True),
    ("mode: superset, steps: [b, b]", [[A], [B]], False),
    ("mode: subset, steps: [c, b, a]", [[A], [B]], True),
    ("mode: subset, steps: [a]", [[A], [B]], False),
    ("mode: subset, steps: [a]", [[A], [A]], False),
    # -- never, and limits
    ("mode: never, steps: [c]", [[A], [B]], True),
    ("mode: never, steps: [c, b]", [[A], [B]], False),
    ("max_repeats: {a: 1}", [[A], [A]], False),
    ("max_repeats: {a: 2}", [[A], [A]], True),
    ("max_actions: 1", [[A, B]], False),
    ("first: a, last: b", [[A], [C], [B]], True),
    ("first: b", [[A], [B]], False),
    # -- names with a namespace
    ("mode: same, steps: [search]", [["mcp__docs__search"]], True),
    ("mode: same, steps: [research]", [["search"]], False),
    # -- arguments
    ("mode: same, arguments: exact, steps: [{tool: a, arguments: {x: 1}}]", [[A]], True),
    ("mode: same, arguments: exact, steps: [{tool: a, arguments: {x: 1.0}}]", [[A]], True),
    ("mode: same, arguments: exact, steps: [{tool: a, arguments: {x: '1'}}]", [[A]], False),
    ("mode: same, arguments: exact, steps: [{tool: a, arguments: {x: true}}]", [[A]], False),
    ("mode: same, arguments: exact, steps: [{tool: a, arguments: {}}]", [[A]], False),
    ("mode: same, arguments: subset, steps: [{tool: a, arguments: {}}]", [[A]], True),
    ("mode: same, steps: [{tool: b, arguments: {y: [1, 2]}}]", [[B]], True),
    ("mode: same, steps: [{tool: b, arguments: {y: [2, 1]}}]", [[B]], False),
    ("mode: same, arguments: ignore, steps: [{tool: a, arguments: {x: 7}}]", [[A]], True),
    ("mode: same, steps: [{tool: a, match: exact, arguments: {x: 1, z: 2}, defaults: {z: 2}}]", [[A]], True),
    ("mode: same, steps: [{tool: a, match: exact, arguments: {x: 1, z: 2}, defaults: {z: 3}}]", [[A]], False),
    ("mode: same, steps: [{tool: a, match: exact, arguments: {x: 5}, ignore: [x]}]", [[A]], True),
    ("mode: same, steps: [{tool: a, schema: {required: [x], properties: {x: {type: integer}}}}]", [[A]], True),
    ("mode: same, steps: [{tool: a, schema: {required: [z]}}]", [[A]], False),
    ("mode: same, steps: [{tool: b, at: {'$.y[1]': {equals: 2}}}]", [[B]], True),
    ("mode: same, steps: [{tool: b, at: {'$.y[1]': {max: 1}}}]", [[B]], False),
    # -- a step that would take the only action that another needs
    ("mode: same, steps: [a, {tool: a, arguments: {x: 1}}]", [[A, ("a", {"x": 2})]], True),
    # -- attempts that failed
    ("mode: exact, steps: [a]", [[("a", {"x": 0}, "no", True)], [A]], True),
    ("mode: exact, failed: count, steps: [a]", [[("a", {"x": 0}, "no", True)], [A]], False),
    ("mode: exact, steps: [a, a]", [[A], [("a", {"x": 0}, "no", True)]], True),
    ("mode: exact, failed: ignore, steps: [a]", [[A], [("a", {"x": 0}, "no", True)]], True),
    ("steps: [a], max_actions: 1", [[("a", {"x": 0}, "no", True)], [A]], False),
)


@pytest.mark.parametrize(("text", "rounds", "passes"), MODES)
def test_modes(text: str, rounds: list[list[object]], passes: bool) -> None:
    for executed in (True, False) if "no" not in str(rounds) else (True,):
        finding = check(f"kind: tool_path, {text}", run(rounds, executed=executed))  # type: ignore[arg-type]
        assert finding.status is EvalStatus.OK
        assert (finding.verdict is Verdict.PASS) == passes, finding.reason
        assert ("executed" if executed else "requested") in finding.reason


# As pydantic-evals and promptfoo have them.
SCORES = (
    ("mode: in_order, steps: [a, x, b]", [["a"], ["b"], ["c"]], 2 / 3),
    ("mode: same, steps: [a, b, c]", [["a"], ["b"], ["c"]], 1),
    ("mode: same, steps: [a, b, x]", [["a"], ["b"], ["c"]], 2 / 3),
    ("mode: same, steps: [a, b]", [["a"], ["b"], ["c"]], 0.8),
    ("mode: same, steps: [x]", [["a"]], 0),
)


@pytest.mark.parametrize(("text", "rounds", "score"), SCORES)
def test_scores(text: str, rounds: list[list[str]], score: float) -> None:
    assert check(f"kind: tool_path, {text}", run(rounds)).score == pytest.approx(score)


def test_scores_of_empty_paths() -> None:
    assert (f1(0, 0, 0), f1(0, 3, 0), f1(0, 0, 3)) == (1, 0, 0)


def test_order_does_not_matter_where_it_does_not() -> None:
    """Whatever the order of the actual path: `same`, `at_least` and `at_most` find the same."""
    draw = random.Random(7)
    for _ in range(60):
        path = [draw.choice("aabbc") for _ in range(draw.randint(0, 5))]
        steps = [draw.choice("aabbc") for _ in range(draw.randint(1, 5))]
        for mode in ("same", "at_least", "at_most"):
            text = f"kind: tool_path, mode: {mode}, steps: [{', '.join(steps)}]"
            found = set()
            for _ in range(3):
                draw.shuffle(path)
                finding = check(text, run([path]))
                found.add((finding.verdict, finding.score))
            assert len(found) == 1, (mode, steps, path)


def test_the_matching_is_maximum() -> None:
    """Against trying every assignment."""
    draw = random.Random(11)

    def best(may: list[set[int]], taken: frozenset[int] = frozenset()) -> int:
        if not may:
            return 0
        with_it = (1 + best(may[1:], taken | {at}) for at in may[0] - taken)
        return max([best(may[1:], taken), *with_it])

    steps = [f"s{number}" for number in range(6)]
    actions = [Taken(f"a{number}") for number in range(6)]
    for _ in range(100):
        may = {step: {at for at in range(6) if draw.random() < 0.3} for step in steps}
        met = matching([Step(tool=step) for step in steps], actions, partial(_may, may))
        assert len(set(met.values())) == len(met) == best(list(may.values()))
        assert all(at in may[steps[position]] for position, at in met.items())


def _may(may: dict[str, set[int]], step: Step, action: Taken) -> bool:
    return int(action.tool[1:]) in may[step.tool]


def test_no_telemetry_is_not_bad_behaviour() -> None:
    answered = run([])
    silent = Run([span._replace(output="") for span in answered.spans], [], None, ())
    assert check("kind: tool_path, steps: [a]", silent).error_type == Skip.NO_DATA
    assert check("kind: tool_path, path: executed, steps: [a]", run([[A]], executed=False)).error_type == Skip.NO_DATA
    without_arguments = run_of(
        [span._replace(input="", output="ok" if span.kind == "tool" else "") for span in run([[A]]).spans]
    )
    asked = "kind: tool_path, steps: [{tool: a, arguments: {x: 1}}]"
    assert check(asked, without_arguments).error_type == Skip.NO_DATA
    assert check("kind: tool_path, steps: [a]", without_arguments).verdict is Verdict.PASS
    assert check("kind: tool_path, mode: never, steps: [a]", answered).verdict is Verdict.PASS, "it answered without"


def test_reasons_name_the_step_with_its_span() -> None:
    finding = check("kind: tool_path, mode: exact, steps: [a, c]", run([[A], [B]]))
    assert finding.reason == "b (round 2) stands where c is expected (executed path)."
    assert [cited.span_id for cited in finding.evidence] == ["t1-0"]
    missing = check("kind: tool_path, steps: [a, c]", run([[A], [B]]))
    assert missing.reason == "c is missing after b (round 2) (executed path)."
