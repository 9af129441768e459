"""Events of coding agents as rows of spans."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.enrich.sessions import Row, batch_of, derived, withdrawn
from collector.enrich.sessions.events import Sources
from collector.model.columns import DECODED_SCHEMA
from tests.support.stored import ENRICHER

SOURCES = Sources(ENRICHER.families)
MS = 1_000_000
BEGIN = 1_800_000_000_000 * MS


def record(event: str, at: int, attributes: Mapping[str, Any], **columns: Any) -> dict[str, Any]:
    """A row of `otel_logs`, `at` milliseconds after the begin."""
    said = {key: str(value) for key, value in attributes.items()}
    row = {
        "Project": "default",
        "SessionId": "s1",
        "PromptId": said.get("prompt.id", ""),
        "TraceId": "",
        "SpanId": "",
        "Event": event,
        "ScopeName": "com.anthropic.claude_code.events",
        "ScopeVersion": "2.1",
        "ServiceName": "claude-code",
        "ResourceSchemaUrl": "",
        "ResourceAttributes": [("service.name", "claude-code")],
        "LogAttributes": list(said.items()),
        "RowKey": hash((event, at, *said.items())) & (2**64 - 1),
        "At": BEGIN + at * MS,
        "Received": BEGIN + at * MS,
    }
    return row | columns


def call(at: int, request: str, lasted: int = 100, agent: str = "", **more: Any) -> dict[str, Any]:
    source = {"query_source": "agent:builtin:x", "agent_id": agent} if agent else {"query_source": "sdk"}
    counts = {"model": "claude-sonnet-4-5", "input_tokens": 41, "output_tokens": 101, "duration_ms": lasted}
    return record("api_request", at, {"prompt.id": "p1", "request_id": request, **source, **counts, **more})


def tool(at: int, identity: str, name: str = "Read", lasted: int = 10, **more: Any) -> dict[str, Any]:
    said = {"prompt.id": "p1", "tool_use_id": identity, "tool_name": name, "duration_ms": lasted, "success": "true"}
    return record("tool_result", at, said | more)


def decision(at: int, identity: str, name: str, decided: str) -> dict[str, Any]:
    said = {"prompt.id": "p1", "tool_use_id": identity, "tool_name": name, "decision": decided}
    return record("tool_decision", at, said)


PROMPT = record("user_prompt", 0, {"prompt.id": "p1", "prompt": "<REDACTED>", "prompt_length": 3})

# A prompt with two sub-agents at once, one of them with a tool, and a tool that was not allowed.
SESSION = [
    PROMPT,
    call(200, "r1"),
    decision(150, "t1", "Agent", "accept"),
    tool(900, "t1", "Agent", lasted=750),
    tool(910, "t2", "Agent", lasted=750),
    call(300, "r2", agent="a1"),
    call(320, "r3", agent="a2"),
    tool(290, "t3", lasted=5, agent_id="a1"),
    call(400, "r4", agent="a1"),
    decision(980, "t4", "Write", "reject"),
    call(1000, "r5"),
    record("api_error", 1100, {"prompt.id": "p1", "request_id": "r6", "error": "overloaded", "duration_ms": 50}),
]


def rows(records: list[dict[str, Any]]) -> list[Row]:
    return derived(SOURCES.events(records))


def by_name(found: list[Row], key: str, value: str) -> Row:
    (row,) = (row for row in found if dict(row.attributes).get(key) == value)
    return row


@given(st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(chance: random.Random) -> None:
    shuffled = SESSION.copy()
    chance.shuffle(shuffled)
    assert set(rows(shuffled)) == set(rows(SESSION))


def test_a_turn_is_one_trace_below_its_prompt() -> None:
    found = rows(SESSION)
    (root,) = (row for row in found if not row.parent_id)
    assert root.name == "invoke_agent claude-code"
    assert "prompt" not in dict(root.attributes)  # not recorded
    assert {row.trace_id for row in found} == {root.trace_id}
    assert (len(root.trace_id), len(root.span_id)) == (32, 16)
    assert root.end == max(row.end for row in found)
    assert by_name(found, "request_id", "r1").parent_id == root.span_id


def test_sub_agents_stand_below_the_tool_that_started_them() -> None:
    found = rows(SESSION)
    first, second = (by_name(found, "gen_ai.tool.call.id", name) for name in ("t1", "t2"))
    assert {by_name(found, "request_id", name).parent_id for name in ("r2", "r4")} <= {first.span_id, second.span_id}
    assert by_name(found, "request_id", "r2").parent_id == by_name(found, "request_id", "r4").parent_id
    assert by_name(found, "request_id", "r3").parent_id != by_name(found, "request_id", "r2").parent_id
    read = by_name(found, "gen_ai.tool.call.id", "t3")
    assert read.parent_id == by_name(found, "request_id", "r2").parent_id


def test_what_was_denied_or_failed_says_so() -> None:
    found = rows(SESSION)
    assert by_name(found, "gen_ai.tool.call.id", "t4").error == "The tool was not allowed to run."
    assert dict(by_name(found, "gen_ai.tool.call.id", "t4").attributes)["error.type"] == "denied"
    assert by_name(found, "request_id", "r6").error == "overloaded"
    assert not by_name(found, "gen_ai.tool.call.id", "t1").error


def test_a_call_is_one_row_however_often_it_is_told() -> None:
    assert rows([PROMPT, call(200, "r1"), call(200, "r1", attempt=2)]) != []
    told = [row for row in rows([PROMPT, call(200, "r1"), call(201, "r1")]) if row.name.startswith("chat")]
    assert len(told) == 1


CODEX = {"ScopeName": "codex_otel.log_only", "ServiceName": "codex_exec"}
CODEX_CALL = {"event.kind": "response.completed", "input_token_count": "1011", "output_token_count": "7", "model": "m"}


def codex(name: str, at: int, attributes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return record(f"codex.{name}", at, attributes or {}, **CODEX)


def test_failed_attempts_are_shown_on_the_call_that_was_answered() -> None:
    attempts = [
        codex("api_request", 100, {"http.response.status_code": 429, "error.message": "later", "duration_ms": 5}),
        codex("api_request", 200, {"http.response.status_code": 200, "duration_ms": 20}),
    ]
    found = rows([codex("user_prompt", 0), *attempts, codex("sse_event", 300, CODEX_CALL)])
    (answered,) = (row for row in found if row.name == "chat m")
    assert [dict(said)["error.message"] for _, said in answered.attempts] == ["later"]
    assert (answered.start, answered.end) == (BEGIN + 180 * MS, BEGIN + 300 * MS)
    assert not answered.error


def refusal(at: int, request: str, **more: Any) -> dict[str, Any]:
    return record("api_refusal", at, {"prompt.id": "p1", "request_id": request, "query_source": "sdk", **more})


@pytest.mark.parametrize("at", [90, 110])
def test_a_refusal_is_told_of_the_answer_that_is_billed(at: int) -> None:
    rival = refusal(80, "r1", server_fallback_hop="true")  # another model answered in its place
    (_, found) = sorted(
        rows([PROMPT, rival, call(100, "r1"), refusal(at, "r1", server_fallback_hop="false")]), key=_name
    )
    assert found.is_answer
    assert not found.error
    assert dict(found.attributes)["gen_ai.response.finish_reasons"] == '["refusal"]'
    assert [dict(said)["server_fallback_hop"] for _, said in found.attempts] == ["true"]


def test_a_refusal_after_which_another_model_answered_is_an_attempt() -> None:
    (_, found) = sorted(rows([PROMPT, refusal(80, "r1", server_fallback_hop="true"), call(100, "r1")]), key=_name)
    assert "gen_ai.response.finish_reasons" not in dict(found.attributes)
    assert len(found.attempts) == 1


def test_a_refusal_of_which_nothing_else_tells_is_a_call_that_failed() -> None:
    found = by_name(rows([PROMPT, refusal(90, "r1")]), "request_id", "r1")
    assert (found.error, found.is_answer) == ("The model refused to answer.", False)


def _name(row: Row) -> str:
    return "1" if row.parent_id else "0"


def test_attempts_that_no_answer_follows_are_a_call_that_failed() -> None:
    found = rows([codex("user_prompt", 0), codex("api_request", 100, {"http.response.status_code": 500})])
    (failed,) = (row for row in found if row.name.startswith("chat"))
    assert failed.error == "The call was not answered."


def test_a_turn_without_ids_of_prompts_lasts_until_the_next_prompt() -> None:
    calls = [codex("sse_event", at, CODEX_CALL) for at in (100, 300)]
    found = rows([codex("user_prompt", 0), codex("user_prompt", 200), *calls])
    assert len({row.trace_id for row in found if row.name == "chat m"}) == 2
    (before, after) = (row for row in rows(calls) if row.name == "chat m")
    assert before.trace_id == after.trace_id  # no prompt is known yet
    assert {before.span_id, after.span_id} == {row.span_id for row in found if row.name == "chat m"}


@pytest.mark.parametrize(
    ("output", "failed"), [("Process exited with code 0", False), ("Process exited with code 3", True)]
)
def test_the_exit_code_of_a_command_tells_whether_it_failed(output: str, *, failed: bool) -> None:
    said = {"call_id": "c1", "tool_name": "exec_command", "success": "true", "output": output}
    (row,) = (row for row in rows([codex("tool_result", 5, said)]) if row.name.startswith("execute_tool"))
    assert bool(row.error) is failed


def test_rows_are_those_of_decoded_spans() -> None:
    batch = batch_of(rows(SESSION))
    assert batch.schema == DECODED_SCHEMA
    assert withdrawn(batch).schema == DECODED_SCHEMA
    assert set(withdrawn(batch).column("SpanName").to_pylist()) == {"withdrawn"}


def test_records_of_others_are_no_events() -> None:
    others = [
        record("api_request", 1, {"input_tokens": 1}, ScopeName="my.service"),
        codex("sse_event", 2, {"event.kind": "x"}),
    ]
    assert rows(others) == []
