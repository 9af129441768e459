"""Files of evaluators: what is taken, what is refused in which words, and what changes a revision."""

from pathlib import Path

import pytest

from collector.config import load_evaluators
from collector.config.checks import OutputContains, ToolPath
from collector.errors import ConfigError
from collector.evals.evaluator import Evaluator, evaluators_of
from collector.model.evaluations import EvalKind, Target

GOOD = """
- name: refund
  select: {agent: support, feature: "refund*", since: 7d, where: [{kind: llm}]}
  sample: {rate: 0.1, by: conversation}
  settle: 1m
  kind: output_contains
  all: [refund, 0]
- name: cheap-and-polite
  all:
    - {kind: bound, metric: cost_usd, max: 0.05}
    - not: {kind: output_regex, pattern: "(?i)shut up"}
- {name: path, on: span, kind: tool_path, mode: superset, steps: [[search, search], {tool: answer, arguments: {a: 1}}]}
- {name: spans, kind: span_query, query: {name: x, not: {name_contains: y}, some_child: {kind: tool}}}
- name: judged
  kind: judge
  rubric: Passes when the answer states the 30-day window.
  choices: {correct: 1, partly: 0.5, wrong: 0}
  judge: {use: house, votes: 1, max_votes: 3}
  budget: {usd: 5, period: week, timezone: Europe/Berlin, per_verdict_usd: 0.02}
- {name: theirs, kind: external}
"""

# What is written, and how the sentence about it begins.
REFUSED = (
    ("- {name: a}", "evaluators.0: needs a kind, or all, any or not"),
    ("- {name: a, kind: output_contain, value: x}", "evaluators.0: 'output_contain' is no kind of check; did you mean"),
    ("- {name: a, kind: [1]}", "evaluators.0: [1] is no kind of check"),
    ("- {name: a, kind: output_contains}", "evaluators.0: needs one of value, all and any"),
    ("- {name: a, kind: output_contains, value: x, foo: 1}", "evaluators.0.foo: unknown setting"),
    ("- {name: a, all: [{kind: judge, rubric: x}]}", "evaluators.0: a check of kind judge stands alone"),
    ("- {name: a, kind: judge, rubric: x, scale: [1, 0]}", "evaluators.0.scale: is not [least, greatest]"),
    ("- {name: a, kind: judge, rubric: x, scale: [0, 9], pass_at: 10}", "evaluators.0.pass_at: is 10, which is not"),
    ("- {name: a, all: 3}", "evaluators.0: 3 is no check"),
    ("- {name: a, kind: bound, metric: cost_usd, max: 1, min: 2}", "evaluators.0: min is greater than max"),
    ("- {name: a, kind: tool_path, steps: [{tool: a, arguemnts: 1}]}", "evaluators.0.steps.0.0.arguemnts: unknown"),
    ("- {name: a b, kind: external}", "evaluators.0.name:"),
    ("- {name: a, kind: external}\n- {name: a, kind: external}", "evaluators: 'a' is the name of two evaluators"),
    ("evaluatrs: []", "evaluatrs: unknown setting; did you mean evaluators?"),
    ("- {name: a, sample: {rate: 2}, kind: external}", "evaluators.0.sample.rate:"),
)


def load(path: Path, text: str) -> tuple[Evaluator, ...]:
    path.write_text(text)
    return evaluators_of(load_evaluators(path))


def test_files_are_read(tmp_path: Path) -> None:
    found = {one.name: one for one in load(tmp_path / "a.yaml", GOOD)}
    assert list(found) == ["refund", "cheap-and-polite", "path", "spans", "judged", "theirs"]
    refund, path = found["refund"].config.check, found["path"].config.check
    assert isinstance(refund, OutputContains)
    assert refund.all == ("refund", "0"), "numbers are compared as text"
    assert isinstance(path, ToolPath)
    assert path.mode == "at_least"
    assert found["path"].target is Target.SPAN
    assert [found[name].kind for name in ("path", "judged", "theirs")] == [
        EvalKind.CHECK,
        EvalKind.JUDGE,
        EvalKind.EXTERNAL,
    ]
    assert load(tmp_path / "b.yaml", f"evaluators:{GOOD}") == tuple(found.values())


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_mistakes_are_sentences(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml", text)
    assert f"  {sentence}" in str(caught.value)


def test_a_revision_is_of_what_a_verdict_means(tmp_path: Path) -> None:
    def revision(text: str) -> str:
        return load(tmp_path / "a.yaml", text)[0].revision

    first = revision("- {name: a, kind: output_contains, value: x}")
    assert revision("- {kind: output_contains, value: x, ignore_case: false, name: a, on: run}") == first
    assert revision("- {name: a, kind: output_contains, value: x, sample: {rate: 0.5}, select: {agent: b}}") == first
    others = ("value: y", "value: x, ignore_case: true", "all: [x]", "value: x, on: span")
    revisions = {revision(f"- {{name: a, kind: output_contains, {other}}}") for other in others}
    assert len(revisions | {first}) == 1 + len(others)
    judged = "- {name: j, kind: judge, rubric: x, budget: {usd: %s}}"
    assert revision(judged % 1) == revision(judged % 2)
    assert Evaluator(load(tmp_path / "a.yaml", judged % 1)[0].config, judge="model-b").revision != revision(judged % 1)
