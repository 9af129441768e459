"""Bounds by one statement find what documents find: the same cases, both ways, in one store."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.config import ReadsConfig, StoreConfig
from collector.evals import by_columns
from collector.evals.backfill import Outcome, Window, backfill
from collector.evals.evaluator import Evaluator
from collector.evals.workshop import Workshop
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
_SPANS = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, Duration, StatusCode,
    Kind, Operation, RequestModel, AgentName, ConversationId, InputTokens, OutputTokens, Cost, PriceStatus, ReceivedAt)
SELECT 'default', now64(9) - 600, lower(leftPad(hex(intDiv(number, 3)), 32, '0')), lower(leftPad(hex(number), 16, '0')),
    if(number % 3 = 0, '', lower(leftPad(hex(number - number % 3), 16, '0'))), 'step', ['a.b', 'aXb', 'c'][1 + number % 3],
    1000000 * (number % 3000), if(number % 7 = 1, 'Error', 'Unset'), if(number % 3 = 0, 'agent', 'llm'),
    if(number % 3 = 0, 'invoke_agent', 'chat'), if(number % 3 = 0, '', ['mini', 'max'][1 + number % 2]),
    if(number % 3 = 0, ['helper', 'other'][1 + intDiv(number, 3) % 2], ''), toString(intDiv(number, 9)),
    number % 3 * 40, number % 5, if(number % 3 = 0 OR number % 11 = 4, NULL, toDecimal64(number % 4, 12) / 100),
    multiIf(number % 3 = 0, 'not_a_call', number % 11 = 4, 'unknown_model', 'priced'), now64(9) - 60
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
        outcome = backfill(store, evaluators, window, SystemClock(), lambda *_: None, workshop)
    finally:
        workshop.close()
    wanted = EvaluationsWanted(batch=outcome.batch, current=False, limit=100_000)
    return outcome, list_evaluations(Reader(lambda: store, ReadsConfig()), "default", wanted)


def told(rows: list[Evaluation]) -> list[Any]:
    """All that is found, but for when, in which batch, and how long it took."""
    return sorted(
        (repr(replace(row, at=0, batch="", receipt=replace(row.receipt, duration_ns=0))) for row in rows),
    )


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
    assert told(rows) == told(others)
    assert {row.verdict.value or row.error_type for row in rows} == {"pass", "fail", "unpriced"}
    assert all(
        sum(one.rows.values()) > 0 for name, one in by_statement.tallies.items() if name != f"case-{len(CASES) - 1}"
    )
    assert by_statement.tallies[f"case-{len(CASES) - 1}"].not_settled == 120
    assert by_statement.runs == by_documents.runs == 120
