"""Back-fills: bounds of a million runs by their sums, checks of spans by their columns, and checks of documents.

python -m benchmarks.evals --runs 1000000 --spans-of 1000000 --documents 100000
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from collector.config import StoreConfig
from collector.config.evaluators import EvaluatorFile
from collector.evals.backfill import backfill
from collector.evals.choosing import Window
from collector.evals.evaluator import evaluators_of
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import SystemClock
from collector.store import Store, migrate, open_store
from collector.store.run_sums import sum_all

_SUMS = """
INSERT INTO run_sums
(
    Project, TraceId, Start, End, Duration, Spans, Errors, LlmCalls, ToolCalls, InputTokens, OutputTokens, Cost, Models,
    RootName, AgentName, Feature, Status, Agents, LastReceived, Hour, Version
)
WITH now64(9) - 86400 + intDiv(number, 20) AS began
SELECT
    'sums', lower(leftPad(hex(number), 32, '0')), began, began + 10, 10000000000, 8, number % 50 = 0, 3, 4, 2000, 300,
    toDecimal128(number % 100, 12) / 1000, ['gpt-4o-mini'], 'agent', 'support', 'refunds', 'ok', ['support'],
    began + 11, toStartOfHour(began), 1
FROM numbers({runs:UInt64})
"""
_SPANS = """
INSERT INTO otel_traces
(
    Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, Duration, Kind, Operation, ToolName, RequestModel,
    AgentName, Cost, PriceStatus, Input, InputKey, Output, OutputKey, ReceivedAt
)
WITH
    number % 8 > 0 AND number % 2 = 1 AS is_call,
    1 + (number % 8 > 0) + (number % 8 > 0 AND number % 2 = 0) AS kind
SELECT
    {project:String}, now64(9) - 3600 + number % 8, lower(leftPad(hex(intDiv(number, 8) + 1), 32, '0')),
    lower(leftPad(hex(number), 16, '0')), if(number % 8 = 0, '', lower(leftPad(hex(number - number % 8), 16, '0'))),
    'step', 1000000000, ['agent', 'llm', 'tool'][kind], ['invoke_agent', 'chat', 'execute_tool'][kind], 'search', 'm',
    'a', if(is_call, toDecimal64(1, 12) / 100, NULL), if(is_call, 'priced', 'not_a_call'),
    repeat('what was asked ', 40),
    'gen_ai.input.messages',
    if(is_call, '[{"role":"assistant","parts":[{"type":"text","content":"Your refund is on its way."}]}]', 'found'),
    if(is_call, 'gen_ai.output.messages', 'gen_ai.tool.call.result'), now64(9) - 60
FROM numbers({spans:UInt64})
"""
_BOUNDS: list[dict[str, object]] = [
    {"name": metric, "kind": "bound", "metric": metric, "max": most}
    for metric, most in (
        ("cost_usd", 0.05),
        ("duration_ms", 9000),
        ("input_tokens", 3000),
        ("output_tokens", 200),
        ("errors", 0),
    )
]
_CHECKS: list[dict[str, object]] = [
    {"name": "refund", "kind": "output_contains", "value": "refund"},
    {"name": "path", "kind": "tool_path", "steps": ["search"]},
    {"name": "waste", "kind": "redundancy", "no_loops": True},
    {"name": "finish", "kind": "finish"},
]
_COLUMNS: list[dict[str, object]] = [
    {"name": "shape", "kind": "span_query", "query": {"kind": "llm"}, "count": {"min": 1, "max": 9}},
    {
        "name": "text",
        "kind": "output_contains",
        "on": "span",
        "value": "refund",
        "select": {"where": [{"kind": "llm"}]},
    },
    {
        "name": "form",
        "kind": "output_regex",
        "on": "span",
        "pattern": "refund [a-z]+",
        "select": {"where": [{"kind": "llm"}]},
    },
    {
        "name": "price",
        "kind": "bound",
        "on": "span",
        "metric": "cost_usd",
        "max": 0.05,
        "select": {"where": [{"kind": "llm"}]},
    },
    {
        "name": "tools",
        "kind": "bound",
        "on": "span",
        "metric": "errors",
        "max": 0,
        "select": {"where": [{"kind": "tool"}]},
    },
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--spans-of", type=int, default=20_000, help="runs of 8 spans whose columns are checked")
    parser.add_argument("--documents", type=int, default=5_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        store = open_store(StoreConfig(url=f"chdb://{name}", max_memory="2GiB"), Path(name))  # type: ignore[arg-type]
        migrate(store, 0)
        store.command(_SUMS, {"runs": options.runs})
        store.command(_SPANS, {"project": "documents", "spans": 8 * options.documents})
        store.command(_SPANS, {"project": "columns", "spans": 8 * options.spans_of})
        sum_all(store)
        _measure(store, "sums", _BOUNDS)
        _measure(store, "columns", _COLUMNS)
        _measure(store, "documents", _CHECKS)
        store.close()


def _measure(store: Store, project: str, written: list[dict[str, object]]) -> None:
    evaluators = evaluators_of(EvaluatorFile.model_validate({"evaluators": written}).evaluators)
    now, workshop = time.time_ns(), Workshop()
    began, used = time.monotonic(), time.process_time()
    outcome = backfill(
        store,
        evaluators,
        Window(project, now - 2 * 10**14, now),
        SystemClock(),
        lambda *_: None,
        workshop,
        EvaluationWriter(),
    )
    seconds = time.monotonic() - began
    workshop.close()
    rows = sum(sum(tally.rows.values()) for tally in outcome.tallies.values())
    here, there = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        f"{project}: {outcome.runs:,} runs, {len(written)} evaluators, {rows:,} rows in {seconds:.1f} s, "
        f"{time.process_time() - used:.1f} s of CPU here; load {os.getloadavg()[0]:.0f}; "
        f"at most {here:.0f} MiB here, {there:.0f} MiB in the process that judges"
    )


if __name__ == "__main__":
    main()
