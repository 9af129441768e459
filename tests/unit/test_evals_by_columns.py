"""Checks by one statement find what documents find: the same cases, both ways, in one store."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.config import ReadsConfig, StoreConfig
from collector.evals import by_columns
from collector.evals.backfill import Outcome, backfill
from collector.evals.choosing import Window
from collector.evals.evaluator import Evaluator
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import SystemClock
from collector.model.evaluations import Evaluation
from collector.query.evaluations import EvaluationsWanted, list_evaluations
from collector.query.limits import Reader
from collector.store import Store, migrate, open_store
from collector.store.run_sums import sum_all
from tests.support.judged import evaluator

CASES = (
    ("metric: cost_usd, max: 0.03", "1s"),
    ("metric: cost_usd, max: 0.02, min: 0.015", "1s"),
    ("metric: cost_usd, min: 0.5", "1s"),
    ("metric: duration_ms, max: 1500.5", "1s"),
    ("metric: duration_ms, min: 1000, max: 2000", "1s"),
    ("metric: input_tokens, max: 100", "1s"),
    ("metric: output_tokens, min: 1", "1s"),
    ("metric: errors, max: 0", "1s"),
    ("metric: errors, max: 0, select: {agent: 'help*'}", "1s"),
    ("metric: errors, max: 0, select: {service: [a.b, c], model: 'm*'}", "1s"),
    ("metric: errors, max: 0, select: {status: [ok, errors]}", "1s"),
    ("metric: errors, max: 0, sample: {rate: 0.5}", "1s"),
    ("metric: errors, max: 0, sample: {rate: 0.3, by: conversation}", "1s"),
    ("metric: errors, max: 0", "1h"),
)
# Of spans, and of how many there are in a run.
SPANS = (
    "kind: bound, 'on': span, metric: cost_usd, max: 0.02",
    "kind: bound, 'on': span, metric: cost_usd, min: 0.01, select: {where: [{kind: llm}]}",
    "kind: bound, 'on': span, metric: duration_ms, max: 1000.5, min: 3",
    "kind: bound, 'on': span, metric: input_tokens, max: 40",
    "kind: bound, 'on': span, metric: output_tokens, min: 2",
    "kind: bound, 'on': span, metric: errors, max: 0, select: {where: [{name: step}]}",
    "kind: output_contains, 'on': span, value: für",
    "kind: output_contains, 'on': span, all: [für, '30', dich]",
    "kind: output_contains, 'on': span, any: ['30', \"it's\", 7], select: {where: [{model: mini}]}",
    "kind: output_equals, 'on': span, any: ['für 30 Tage', \"it's\"]",
    "kind: output_starts_with, 'on': span, value: f, sample: {rate: 0.5}",
    "kind: output_regex, 'on': span, pattern: 'r (\\d+) '",
    "kind: output_regex, 'on': span, pattern: '[A-Z]$', ignore_case: true",
    "kind: output_regex, 'on': span, pattern: 'für.*', full: true",
    "kind: output_regex, 'on': span, pattern: '^(?P<x>f|i|)'",
    "kind: finish, 'on': span",
    "kind: finish, 'on': span, allowed: [Stop, length]",
    "kind: finish, 'on': span, select: {where: [{has_attribute_keys: [tool.id], max_duration: 2s}]}",
    "kind: span_query, query: {kind: llm, model: max}, count: {min: 1, max: 1}",
    "kind: span_query, query: {name_matches_regex: '^s.ep$', status: error}, count: {min: 0, max: 0}",
    "kind: span_query, query: {name_contains: te, min_duration: 1s, agent: helper}",
    "kind: span_query, query: {has_attribute_keys: [tool.id, gen_ai.output.messages]}, count: {min: 2}",
    "kind: span_query, query: {operation: chat, tool: ''}, sample: {rate: 0.4}",
)
# What needs documents.
DOCUMENTS = (
    "kind: output_contains, value: a",
    "kind: output_contains, 'on': span, value: a, ignore_case: true",
    "kind: span_query, query: {has_attributes: {a: 1}}",
    "kind: span_query, query: {not: {kind: llm}}",
    "kind: span_query, query: {kind: llm}, select: {where: [{kind: tool}]}",
    "kind: finish",
    "kind: bound, metric: rounds, max: 1",
    "kind: bound, 'on': span, metric: errors, max: 0, select: {where: [{kind: llm}, {status: ok}]}",
    "kind: bound, 'on': conversation, metric: errors, max: 0",
)
_SPANS = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, Duration, StatusCode,
    Kind, Operation, RequestModel, AgentName, ConversationId, InputTokens, OutputTokens, Cost, PriceStatus, ReceivedAt,
    Output, OutputKey, FinishReason, SpanAttributes, ResourceAttributes)
SELECT 'default', now64(9) - 600, lower(leftPad(hex(intDiv(number, 3)), 32, '0')), lower(leftPad(hex(number), 16, '0')),
    if(number % 3 = 0, '', lower(leftPad(hex(number - number % 3), 16, '0'))), 'step', ['a.b', 'aXb', 'c'][1 + number % 3],
    1000000 * (number % 3000), if(number % 7 = 1, 'Error', 'Unset'), if(number % 3 = 0, 'agent', 'llm'),
    if(number % 3 = 0, 'invoke_agent', 'chat'), if(number % 3 = 0, '', ['mini', 'max'][1 + number % 2]),
    if(number % 3 = 0, ['helper', 'other'][1 + intDiv(number, 3) % 2], ''), toString(intDiv(number, 9)),
    number % 3 * 40, number % 5, if(number % 3 = 0 OR number % 11 IN (4, 5, 6), NULL, toDecimal64(number % 4, 12) / 100),
    multiIf(number % 3 = 0, 'not_a_call', number % 11 = 4, 'unknown_model', number % 11 = 5, 'no_usage',
        number % 11 = 6, 'rolled_up', 'priced'), now64(9) - 60,
    ['für dich', 'für 30 Tage', 'it\\'s', '', 'a\\nfür Z'][1 + number % 5], if(number % 2 = 0, 'gen_ai.output.messages', ''),
    if(number % 3 = 0, '', ['stop', 'length', 'STOP', '', 'content_filter'][1 + number % 5]),
    if(number % 4 = 0, map('tool.id', ''), map()), map('service.version', '1.2')
FROM numbers(360)
"""


@pytest.fixture(scope="module")
def store(engine_directory: Path) -> Iterator[Store]:
    """With 120 runs of three spans."""
    found = open_store(StoreConfig(database="columns"), engine_directory)
    migrate(found, 0)
    found.command(_SPANS)
    sum_all(found)
    yield found
    found.close()


def judged(store: Store, evaluators: list[Evaluator]) -> tuple[Outcome, list[Evaluation]]:
    workshop = Workshop()
    now = time.time_ns()
    window = Window("default", now - 10**13, now, again=True)
    try:
        outcome = backfill(store, evaluators, window, SystemClock(), lambda *_: None, workshop, EvaluationWriter())
    finally:
        workshop.close()
    wanted = EvaluationsWanted(batch=outcome.batch, current=False, limit=100_000)
    return outcome, list_evaluations(Reader(lambda: store, ReadsConfig()), "default", wanted)


def told(rows: list[Evaluation]) -> list[Any]:
    """All that is found, but for when, in which batch, and how long it took."""
    return sorted(
        (repr(replace(row, at=0, batch="", receipt=replace(row.receipt, duration_ns=0))) for row in rows),
    )


def test_what_needs_columns_only() -> None:
    assert not any(by_columns.needs_columns_only(evaluator(f"{{name: one, {case}}}")) for case in DOCUMENTS)


@pytest.mark.parametrize("cases", [SPANS[::5], pytest.param(SPANS, marks=pytest.mark.long)], ids=["few", "all"])
def test_spans_both_ways(cases: tuple[str, ...], store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluators = [evaluator(f"{{name: case-{at:02}, settle: 1s, {case}}}") for at, case in enumerate(cases)]
    assert all(map(by_columns.needs_columns_only, evaluators))
    by_statement, rows = judged(store, evaluators)
    monkeypatch.setattr(by_columns, "needs_columns_only", lambda _: False)
    by_documents, others = judged(store, evaluators)
    assert by_statement.tallies == by_documents.tallies
    for at, _ in enumerate(cases):
        found, expected = (told([row for row in side if row.evaluator == f"case-{at:02}"]) for side in (rows, others))
        assert found == expected
        assert found
    of_spans = [row for row in rows if row.target == "span"]
    assert {row.verdict.value or row.error_type for row in of_spans} >= {"pass", "fail", "no_data"}
    assert {row.release for row in of_spans} == {"1.2"}


def test_both_ways_find_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluators = [
        evaluator(f"{{name: case-{at}, settle: {settle}, kind: bound, {case}}}")
        for at, (case, settle) in enumerate(CASES)
    ]
    assert all(map(by_columns.needs_columns_only, evaluators))
    by_statement, rows = judged(store, evaluators)
    monkeypatch.setattr(by_columns, "needs_columns_only", lambda _: False)
    by_documents, others = judged(store, evaluators)
    assert by_statement.tallies == by_documents.tallies
    assert told(rows) == told([replace(row, release="") for row in others]), "sums of runs do not have the release"
    assert {row.verdict.value or row.error_type for row in rows} == {"pass", "fail", "unpriced"}
    assert all(
        sum(one.rows.values()) > 0 for name, one in by_statement.tallies.items() if name != f"case-{len(CASES) - 1}"
    )
    assert by_statement.tallies[f"case-{len(CASES) - 1}"].not_settled == 120
    assert by_statement.runs == by_documents.runs == 120
