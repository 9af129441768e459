"""A store filled with generated runs, by SQL: ten days, three projects, re-deliveries, a few very long runs.

A run has 15 spans (an agent, model calls and tool calls by turns) and takes half a minute; one in 97 takes two and a
half hours and so crosses hours and sometimes days. Every 50th span is delivered again, with a newer version, by a later
insert. Content is a few hundred bytes a span, which is small: what is measured is how few of the stored bytes a
question reads.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from collector.store import Store

BEGIN = datetime(2026, 11, 12, tzinfo=UTC)
END = BEGIN + timedelta(days=10)
PROJECTS = ("large", "middle", "small")  # 60, 30 and 10 % of the runs
MODELS = ("gpt-4o-mini-2024-07-18", "gpt-4.1-2025-04-14", "claude-sonnet-4-5-20250929", "gemini-2.5-pro")
UNKNOWN_MODEL = "house-model-7b"
FEATURES = ("search", "support", "report", "rare")  # the last in one run of 5,000
RUN_SPANS = 15
LONG_RUN_SPANS = 10_000
LONG_RUNS = 6

_ROWS_AT_ONCE = 120_000
_AGAIN = 50
_FIRST_LONG_RUN = 1_000_000_000

_FILL = """
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes,
    ScopeName, SpanAttributes, Duration, StatusCode, Project, ReceivedAt, Version, Kind, Operation, Provider,
    RequestModel, ResponseModel, ResponseId, AgentName, ToolName, Feature, ConversationId, UserId, InputTokens,
    OutputTokens, CacheReadTokens, Cost, CostDetails, PriceStatus, PriceRef, FinishReason, Input, Output, InputKey,
    OutputKey)
WITH
    {spans:UInt64} AS spans,
    {first_run:UInt64} + intDiv(number, spans) AS run,
    number % spans AS place,
    ['agent', 'llm', 'tool'][if(place = 0, 1, 2 + (place + 1) % 2)] AS kind,
    cityHash64(run) AS chance,
    run % 97 = 0 AS slow,
    toInt64({begin_us:Int64} + (run - {first_run:UInt64}) * {step_us:Int64} + chance % {step_us:Int64}
        + place * if(slow, {slow_us:Int64}, {pace_us:Int64})) AS begun_us,
    leftPad(lower(hex(cityHash64(run, place))), 16, '0') AS span_id,
    if(run % 199 = 7, {unknown:String}, {models:Array(String)}[1 + chance % 4]) AS model,
    kind = 'llm' AND model = {unknown:String} AS unpriced,
    500 + cityHash64(run, place, 'in') % 4000 AS input_tokens,
    20 + cityHash64(run, place, 'out') % 400 AS output_tokens,
    toDecimal64(input_tokens * 0.0000004 + output_tokens * 0.0000016, 12) AS cost,
    concat('You are a careful assistant of the support desk; answer with what the tools say. ',
        lower(hex(randomString(80)))) AS text
SELECT
    fromUnixTimestamp64Micro(begun_us, 'UTC'),
    lower(hex(sipHash128(run))),
    span_id,
    if(place = 0, '', leftPad(lower(hex(cityHash64(run, toUInt64(0)))), 16, '0')),
    if(kind = 'agent', 'invoke_agent desk', if(kind = 'llm', concat('chat ', model), 'execute_tool lookup')),
    'Internal',
    'support-desk',
    map('service.name', 'support-desk', 'telemetry.sdk.language', 'python', 'service.version', '1.4.2'),
    'opentelemetry.instrumentation.openai_v2',
    map('gen_ai.request.temperature', '0.2', 'gen_ai.request.max_tokens', '1024', 'server.port', '443',
        'server.address', 'api.openai.com', 'tenant', toString(chance % 1000)),
    400000000 + cityHash64(run, place, 'd') % 1200000000,
    if(cityHash64(run, place, 'e') % 100 = 0, 'Error', 'Ok'),
    {projects:Array(String)}[if(chance % 10 < 6, 1, if(chance % 10 < 9, 2, 3))],
    fromUnixTimestamp64Micro(begun_us + 5000000, 'UTC'),
    {version:UInt64},
    kind,
    if(kind = 'agent', 'invoke_agent', if(kind = 'llm', 'chat', 'execute_tool')),
    if(kind = 'llm', 'openai', ''),
    if(kind = 'llm', model, ''),
    if(kind = 'llm', model, ''),
    if(kind = 'llm', concat('chatcmpl-', span_id), ''),
    if(kind = 'agent', 'desk', ''),
    if(kind = 'tool', 'lookup', ''),
    if(kind = 'agent', {features:Array(String)}[if(run % 5000 = 3, 4, 1 + intDiv(chance, 10) % 3)], ''),
    if(kind = 'agent', concat('conversation-', toString(intDiv(run, 3))), ''),
    if(kind = 'agent', concat('user-', toString(chance % 5000)), ''),
    if(kind = 'llm', input_tokens, 0),
    if(kind = 'llm', output_tokens, 0),
    if(kind = 'llm', intDiv(input_tokens, 2), 0),
    if(kind = 'llm' AND NOT unpriced, cost, NULL),
    if(kind = 'llm' AND NOT unpriced, map('input', cost), map()),
    multiIf(kind != 'llm', 'not_a_call', unpriced, 'unknown_model', 'priced'),
    if(kind = 'llm' AND NOT unpriced, 'openai/gpt-4o-mini@2026-11', ''),
    if(kind = 'llm', 'stop', ''),
    if(kind = 'tool', concat('{"query": "', text, '"}'),
        concat('[{"role": "user", "parts": [{"type": "text", "content": "', text, '"}]}]')),
    if(kind = 'tool', concat('{"found": "', text, '"}'),
        concat('[{"role": "assistant", "parts": [{"type": "text", "content": "', text, '"}]}]')),
    if(kind = 'tool', 'gen_ai.tool.call.arguments', 'gen_ai.input.messages'),
    if(kind = 'tool', 'gen_ai.tool.call.result', 'gen_ai.output.messages')
FROM
(
    SELECT number FROM numbers({first:UInt64}, {count:UInt64})
    UNION ALL
    SELECT number FROM numbers({again:UInt64}, {again_count:UInt64}) WHERE number % {every:UInt64} = 1
)
"""


def fill(store: Store, spans: int, projects: Sequence[str] = PROJECTS) -> None:
    """Store about `spans` spans in order of time, and the long runs after them. `projects` are three."""
    _fill_runs(store, spans // RUN_SPANS, projects)
    _fill_long_runs(store, projects)


def long_run_ids(store: Store, project: str) -> list[str]:
    """The trace ids of the project's long runs."""
    statement = (
        "SELECT lower(hex(sipHash128(toUInt64(number)))) AS id FROM numbers({first:UInt64}, {n:UInt64})"
        " WHERE id IN (SELECT TraceId FROM otel_traces_trace_id_ts WHERE Project = {project:String})"
    )
    parameters = {"first": _FIRST_LONG_RUN, "n": LONG_RUNS, "project": project}
    return [str(row["id"]) for row in store.query(statement, parameters).to_pylist()]


def _fill_runs(store: Store, runs: int, projects: Sequence[str]) -> None:
    total, step = runs * RUN_SPANS, int((END - BEGIN).total_seconds() * 1e6) // runs
    for first in range(0, total, _ROWS_AT_ONCE):
        shape = {"spans": RUN_SPANS, "first_run": 0, "step_us": step, "pace_us": 2_000_000, "slow_us": 600_000_000}
        before = max(0, first - _ROWS_AT_ONCE)
        rows = {"first": first, "count": min(_ROWS_AT_ONCE, total - first)}
        _insert(store, projects, shape | rows | {"again": before, "again_count": first - before, "version": 1 + first})
    last = {
        "first": total,
        "count": 0,
        "again": max(0, total - _ROWS_AT_ONCE),
        "again_count": min(total, _ROWS_AT_ONCE),
    }
    _insert(store, projects, shape | last | {"version": 1 + total})


def _fill_long_runs(store: Store, projects: Sequence[str]) -> None:
    for number in range(LONG_RUNS):
        shape = {"spans": LONG_RUN_SPANS, "first_run": _FIRST_LONG_RUN + number, "step_us": 1, "pace_us": 400_000}
        begin = BEGIN + timedelta(days=number + 2, hours=3 * number, minutes=20)
        rows = {"first": 0, "count": LONG_RUN_SPANS, "again": 0, "again_count": 0, "version": 1}
        _insert(store, projects, shape | rows | {"slow_us": 400_000, "begin_us": int(begin.timestamp() * 1e6)})
        _insert(
            store,
            projects,
            shape
            | rows
            | {
                "slow_us": 400_000,
                "begin_us": int(begin.timestamp() * 1e6),
                "count": 0,
                "again_count": LONG_RUN_SPANS,
                "version": 2,
            },
        )


def _insert(store: Store, projects: Sequence[str], parameters: dict[str, int]) -> None:
    lists = {"projects": list(projects), "models": list(MODELS), "features": list(FEATURES)}
    fixed = {"unknown": UNKNOWN_MODEL, "every": _AGAIN, "begin_us": int(BEGIN.timestamp() * 1e6)}
    store.command(_FILL, {**fixed, **lists, **parameters})
