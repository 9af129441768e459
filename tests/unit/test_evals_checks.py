"""Checks of outputs, numbers, finish reasons, spans and repetition."""

import time
from typing import Any

import pytest

from collector.evals.subject import Subject
from collector.evals.waste import Repetition, waste_of
from collector.model.evaluations import EvalStatus, Skip, Verdict, digest_of
from tests.support.judged import Called, check, run

JSON = 'Sure:\n```json\n{"city": "Bern", "days": 3, "tags": ["a", "b"]}\n```\n'
# A check, the answer it looks at, and whether it passes.
OUTPUTS = (
    ("kind: output_contains, value: refund", "Your refund is on its way.", True),
    ("kind: output_contains, value: Refund", "Your refund is on its way.", False),
    ("kind: output_contains, value: REFUND, ignore_case: true", "Your refund is on its way.", True),
    ("kind: output_contains, value: 0", "You have 0 orders.", True),
    ("kind: output_contains, all: [refund, way]", "Your refund is on its way.", True),
    ("kind: output_contains, all: [refund, gone]", "Your refund is on its way.", False),
    ("kind: output_contains, any: [gone, way]", "Your refund is on its way.", True),
    ("kind: output_contains, any: [gone, lost]", "Your refund is on its way.", False),
    ("kind: output_contains, value: a b, normalise: space", "a \n b", True),
    ("kind: output_contains, value: file, normalise: unicode", "the ﬁle", True),
    ("kind: output_equals, value: 42", "42", True),
    ("kind: output_equals, value: 42", "42.", False),
    ("kind: output_starts_with, value: Your", "Your refund", True),
    ("kind: output_starts_with, value: refund", "Your refund", False),
    ("kind: output_regex, pattern: 'r.f', ignore_case: true", "Your REFUND", True),
    ("kind: output_regex, pattern: 'r.f'", "Your REFUND", False),
    ("kind: output_regex, pattern: '[a-z ]+', full: true", "your refund", True),
    ("kind: output_regex, pattern: '[a-z]+', full: true", "your refund", False),
    ("kind: output_json", '{"a": 1}', True),
    ("kind: output_json", "{'a': 1}", False),
    ("kind: output_json", '{"a": NaN}', False),
    ("kind: output_json, where: fenced", JSON, True),
    ("kind: output_json, where: first_object", '{not it} {"a": {}} {', True),
    ("kind: output_json, where: first_object", "{" * 1000, False),
    ("kind: output_json, where: fenced, schema: {required: [city], properties: {days: {maximum: 3}}}", JSON, True),
    ("kind: output_json, where: fenced, schema: {required: [country]}", JSON, False),
    ("kind: output_json, where: fenced, at: {$.days: {min: 1, max: 3}, '$.tags[*]': {equals: b}}", JSON, True),
    ("kind: output_json, where: fenced, at: {$.days: {min: 4}}", JSON, False),
    ("kind: output_json, where: fenced, at: {$.days: {equals: '3'}}", JSON, False),
    ("kind: output_json, where: fenced, at: {$.gone: {exists: false}}", JSON, True),
    ("kind: output_json, where: fenced, at: {$.gone: {exists: true}}", JSON, False),
    ("all: [{kind: output_contains, value: a}, {not: {kind: output_contains, value: z}}]", "abc", True),
    ("any: [{kind: output_contains, value: y}, {kind: output_contains, value: z}]", "abc", False),
)


@pytest.mark.parametrize(("text", "answer", "passes"), OUTPUTS)
def test_outputs(text: str, answer: str, passes: bool) -> None:
    finding = check(text, run([], answer=answer))
    assert finding.status is EvalStatus.OK
    assert (finding.verdict is Verdict.PASS) == passes, finding.reason
    for cited in finding.evidence:
        assert digest_of(answer.encode()[cited.start : cited.end]) == cited.sha256
        assert (cited.span_id, cited.field) == ("c0", "answer")


def test_an_expression_takes_no_longer_for_a_hostile_text() -> None:
    began = time.process_time()
    assert check("kind: output_regex, pattern: '(a+)+$'", run([], answer="a" * 50_000 + "!")).verdict is Verdict.FAIL
    schema = "{properties: {x: {pattern: '^(a+)+$'}}}"
    hostile = '{"x": "' + "a" * 50_000 + '!"}'
    assert check(f"kind: output_json, schema: {schema}", run([], answer=hostile)).verdict is Verdict.FAIL
    assert time.process_time() - began < 2


def test_schemas_fetch_nothing() -> None:
    finding = check("kind: output_json, schema: {$ref: 'http://127.0.0.1:9/schema'}", run([], answer="1"))
    assert finding.status is EvalStatus.ERROR
    assert finding.error_type == "evaluator"


NUMBERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("metric: cost_usd, max: 0.03", {}, "pass"),
    ("metric: cost_usd, max: 0.02", {}, "fail"),
    ("metric: cost_usd, max: 0.03", {"cost": None}, Skip.UNPRICED),
    ("metric: rounds, min: 3, max: 3", {}, "pass"),
    ("metric: actions, max: 1", {}, "fail"),
    ("metric: input_tokens, max: 300", {}, "pass"),
    ("metric: output_tokens, max: 29", {}, "fail"),
    ("metric: duration_ms, max: 1000000", {}, "pass"),
    ("metric: errors, max: 0", {}, "fail"),
    ("metric: retries, max: 0", {}, "fail"),
    ("metric: ttft_ms, max: 10", {}, Skip.NO_DATA),
    ("metric: wasted_usd, max: 0", {}, "pass"),
)


@pytest.mark.parametrize(("text", "of_run", "found"), NUMBERS)
def test_numbers(text: str, of_run: dict[str, Any], found: str) -> None:
    judged = run([[("a", {}, "no", True)], [("a", {}, "yes")]], **of_run)
    finding = check(f"kind: bound, {text}", judged)
    assert (finding.verdict.value or finding.error_type) == found, finding.reason


def test_a_partly_known_cost_that_is_too_much_already_fails() -> None:
    judged = run([["a"]])
    spans = [
        span._replace(price_status="unknown_model", cost=None) if span.span_id == "c1" else span
        for span in judged.spans
    ]
    some = type(judged)(spans, judged.rounds, None, ())
    assert check("kind: bound, metric: cost_usd, max: 0.005", some).verdict is Verdict.FAIL
    assert check("kind: bound, metric: cost_usd, max: 0.05", some).error_type == Skip.UNPRICED


def test_bounds_of_a_span() -> None:
    judged = run([["a"]])
    call = next(span for span in judged.spans if span.span_id == "c0")
    assert check("kind: bound, metric: input_tokens, max: 100", judged, call).verdict is Verdict.PASS
    assert check("kind: bound, metric: duration_ms, max: 999", judged, call).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("text", "finish", "found"),
    [
        ("kind: finish", "stop", "pass"),
        ("kind: finish", "length", "fail"),
        ("kind: finish", "MAX_TOKENS", "fail"),
        ("kind: finish", "content_filter", "fail"),
        ("kind: finish, allowed: [end_turn]", "stop", "fail"),
        ("kind: finish", "", Skip.NO_DATA),
    ],
)
def test_finish(text: str, finish: str, found: str) -> None:
    finding = check(text, run([], finish=finish))
    assert (finding.verdict.value or finding.error_type) == found


SPANS = (
    ("query: {kind: tool}", True),
    ("query: {kind: tool}, count: {min: 3}", False),
    ("query: {kind: tool}, count: {min: 0, max: 1}", False),
    ("query: {name: execute_tool a}", True),
    ("query: {name_contains: tool, status: error}", False),
    ("query: {name_matches_regex: 'execute_tool [ab]'}, count: {min: 2, max: 2}", True),
    ("query: {tool: a, attributes: {gen_ai.tool.call.id: 0-0}}", True),
    ("query: {has_attribute_keys: [gen_ai.tool.call.result]}, count: {min: 2, max: 2}", True),
    ("query: {kind: agent, some_child: {tool: b}, min_child_count: 4}", True),
    ("query: {kind: agent, no_child_has: {tool: b}}", False),
    ("query: {kind: agent, all_descendants_have: {or: [{kind: llm}, {kind: tool}]}}", True),
    ("query: {tool: a, some_ancestor: {agent: helper}, min_depth: 1, max_depth: 1}", True),
    ("query: {kind: llm, not: {model: m}}", False),
    ("query: {kind: llm, min_duration: 1s, max_duration: 1s}", True),
)


@pytest.mark.parametrize(("text", "passes"), SPANS)
def test_span_queries(text: str, passes: bool) -> None:
    finding = check(f"kind: span_query, {text}", run([["a"], ["b"]]))
    assert (finding.verdict is Verdict.PASS) == passes, finding.reason


A: Called = ("search", {"q": "x"}, "one")


def test_waste() -> None:
    again: Called = ("search", {"q": "x"}, "one")
    other: Called = ("search", {"q": "x"}, "two")
    waste = waste_of(run([[A], [again, ("look", {}, "")], [other], [again]], cost="0.01"))
    assert [(one.round, one.how) for one in waste.repeated] == [
        (2, Repetition.REPEAT),
        (3, Repetition.POLLING),
        (4, Repetition.REPEAT),
    ]
    assert {number: str(usd) for number, usd in waste.usd_by_round.items()} == {2: "0.005", 4: "0.01"}
    assert waste.idle == [4]


def test_retries_and_attempts_that_differ_are_not_waste() -> None:
    failing: Called = ("search", {"q": "x"}, "no", True)
    waste = waste_of(run([[failing], [A], [("search", {"q": "y"}, "one")]]))
    assert [one.how for one in waste.repeated] == [Repetition.RETRY]
    assert waste.usd == 0


@pytest.mark.parametrize(
    ("tools", "loops"), [("aaa", [1]), ("ababab", [2]), ("aabaabaab", [3]), ("abcd", []), ("abab", [])]
)
def test_loops(tools: str, loops: list[int]) -> None:
    waste = waste_of(run([[(tool, {}, str(at))] for at, tool in enumerate(tools)]))
    assert [len(loop.tools) for loop in waste.loops] == loops
    assert all(loop.times == 3 for loop in waste.loops)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("max_repeats: 0", "fail"),
        ("max_repeats: 1", "pass"),
        ("max_wasted_usd: 0.009", "fail"),
        ("max_wasted_usd: 0.01", "pass"),
        ("no_loops: true", "pass"),
    ],
)
def test_redundancy(text: str, found: str) -> None:
    assert check(f"kind: redundancy, {text}", run([[A], [A]])).verdict.value == found


def test_the_output_of_a_run_is_that_of_its_top_agent() -> None:
    judged = run([["a"]], answer="top")
    assert Subject(judged).output is not None
    assert Subject(judged).output.text == "top"  # type: ignore[union-attr]
    silent = type(judged)([span._replace(output="at the root") for span in judged.spans[:1]], [], None, ())
    assert Subject(silent).output.field == "Output"  # type: ignore[union-attr]
    empty = type(judged)([span._replace(output="") for span in judged.spans[:1]], [], None, ())
    assert check("kind: output_contains, value: a", empty).error_type == Skip.NO_DATA
