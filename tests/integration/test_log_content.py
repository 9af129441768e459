"""Content that comes as log records is the input and output of the span it belongs to, whichever comes first."""

import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.billing.across_batches import Billing
from collector.billing.late_content import replaced_contents
from collector.decode import decode
from collector.enrich import RecentTraces
from collector.model.envelope import Envelope, Signal
from collector.runs import read_spans, run_of
from collector.spool import DeadLetter
from collector.store import Store
from tests.support.otlp import request, span
from tests.support.sessions import Daemon, requests
from tests.support.signals import log_request, record
from tests.support.stored import ENRICHER

ROOT = Path(__file__).parents[1] / "fixtures" / "contents"
REQUESTS = requests("otel-genai-openai-event_only", ROOT)
QUERY = """
    SELECT TraceId, SpanId, Input, Output, InputKey, OutputKey, Cost, PriceStatus, count() OVER () AS Rows
    FROM otel_traces FINAL WHERE Operation = 'chat' AND PriceStatus = 'priced' ORDER BY TraceId
"""


def calls(store: Store) -> list[dict[str, Any]]:
    return store.query(QUERY, {}).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("order", [*itertools.permutations(range(len(REQUESTS)))])
def test_content_joins_its_span_in_any_order(store: Store, order: tuple[int, ...]) -> None:
    daemon = Daemon(store)
    for place in order:
        daemon.deliver([REQUESTS[place]])
    found = calls(store)
    assert found
    for call in found:
        assert call["InputKey"] == "gen_ai.input.messages"
        assert call["OutputKey"] == "gen_ai.output.messages"
        assert json.loads(call["Input"])[-1]["role"] in {"user", "tool"}
        assert json.loads(call["Output"])[0]["role"] == "assistant"
        assert call["Cost"] > 0


def test_a_span_that_is_sent_again_keeps_its_content(store: Store) -> None:
    daemon = Daemon(store)
    daemon.deliver(REQUESTS)
    before = calls(store)
    daemon.deliver([replace(request, received_at=request.received_at + 10**11) for request in REQUESTS])
    assert calls(store) == before


def test_a_span_whose_content_is_refused_stays_as_it_was(store: Store, tmp_path: Path) -> None:
    deadletter = DeadLetter(tmp_path / "deadletter", 10_000_000)
    daemon = Daemon(store, deadletter=deadletter)
    store.command("ALTER TABLE otel_traces ADD CONSTRAINT none CHECK NOT (Operation = 'chat' AND Input != '')")
    daemon.deliver(REQUESTS)
    without = calls(store)
    assert without
    assert all(call["Cost"] > 0 and not call["Input"] for call in without)
    assert deadletter.statistics().entries >= len(without)
    store.command("ALTER TABLE otel_traces DROP CONSTRAINT none")
    daemon.deliver([entry.envelope for entry in deadletter.entries() if entry.envelope])
    assert all(call["Input"] for call in calls(store))


# What a start remembers is of the last hour.
NOW = time.time_ns()
TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))
# A report of a span, and a later one that only says what it lacks.
FULL = {
    "langfuse.observation.type": "generation",
    "langfuse.observation.model.name": "gpt-4o",
    "langfuse.observation.usage_details": '{"input":1000,"output":10}',
}
LATE = {"langfuse.observation.input": '[{"role":"user","content":"hi"}]', "langfuse.observation.output": "hello"}


def reported(said: dict[str, str], received: int) -> Envelope:
    message = request(span(said, trace_id=TRACE, span_id=SPAN))
    message.resource_spans[0].scope_spans[0].scope.name = "langfuse-sdk"
    return Envelope("default", received, 1, message.SerializeToString())


INPUT, OUTPUT = ({key: text} for key, text in LATE.items())
REPORTS: dict[str, Sequence[Sequence[dict[str, str]]]] = {
    "together": [[FULL, LATE]],
    "after": [[FULL], [LATE], [LATE]],
    "before": [[LATE], [FULL]],
    "before and together": [[LATE, FULL]],
    "before and again": [[LATE], [FULL], [LATE], [FULL]],
    "around": [[INPUT], [FULL], [OUTPUT]],
    "apart": [[INPUT], [OUTPUT], [FULL]],
    "none more complete": [[FULL | INPUT], [FULL | OUTPUT]],
}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("reports", REPORTS.values(), ids=REPORTS.keys())
def test_reports_of_a_span_with_nothing_but_content_add_it(
    store: Store, reports: Sequence[Sequence[dict[str, str]]], *, restarts: bool
) -> None:
    daemon = Daemon(store)
    seconds = itertools.count()
    for segment in reports:
        daemon.deliver([reported(said, NOW + next(seconds) * 10**9) for said in segment])
        if restarts:
            daemon.restart()
    (call,) = calls(store)
    assert (call["Input"], call["Output"]) == tuple(LATE.values())
    assert call["Cost"] > 0


def test_content_of_its_own_stands_in_the_row_that_counts(store: Store) -> None:
    daemon = Daemon(store)
    key = next(iter(INPUT))
    for number, said in enumerate((LATE, FULL | {key: "later"})):
        daemon.deliver([reported(said, NOW + number * 10**9)])
    (call,) = calls(store)
    assert (call["Input"], call["Output"]) == ("later", LATE["langfuse.observation.output"])


def test_contents_that_are_too_large_together_are_left_out(store: Store) -> None:
    daemon = Daemon(store)
    daemon.deliver([reported(LATE, NOW)])
    billing = Billing(ENRICHER, RecentTraces(100_000))
    enriched = billing.enrich(store, [decode([reported(FULL, NOW + 10**9)])])
    (found,) = replaced_contents(store, enriched)
    assert (found["Input"], found["Output"]) == tuple(LATE.values())
    assert replaced_contents(store, enriched, sum(map(len, LATE.values())) - 1) == []


TOLD: tuple[tuple[str, Any], ...] = (
    ("gen_ai.system.message", {"content": "Answer briefly."}),
    ("gen_ai.user.message", {"content": "What is the weather in Oslo?"}),
    (
        "gen_ai.assistant.message",
        {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
    ),
    ("gen_ai.tool.message", {"id": "c1", "content": "rain"}),
    ("gen_ai.choice", {"index": 0, "finish_reason": "stop", "message": {"content": "It rains."}}),
)


def called() -> Envelope:
    usage = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 10}
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **usage}
    payload = request(span(said, trace_id=TRACE, span_id=SPAN)).SerializeToString()
    return Envelope("default", NOW, 1, payload)


def told(*places: int, begin: int = 0) -> Envelope:
    """A request with those of `TOLD`, each a microsecond after the one before."""
    records = [
        record(
            TOLD[place][1],
            {"gen_ai.system": "openai", "event.name": TOLD[place][0]},
            trace_id=TRACE,
            span_id=SPAN,
            time_unix_nano=NOW + 1000 * place,
        )
        for place in places
    ]
    payload = log_request(*records).SerializeToString()
    return Envelope("default", NOW + 1 + begin, len(records), payload, signal=Signal.LOGS)


ALL = told(*range(len(TOLD)))
ARRIVALS: dict[str, Sequence[Envelope]] = {
    "span first": (called(), ALL),
    "logs first": (ALL, called()),
    "piece by piece": (told(4), told(0, 1), called(), told(3), told(2)),
    "again": (told(0, 1, 2), called(), ALL, ALL, called()),
}


@pytest.mark.parametrize("arrival", ARRIVALS.values(), ids=ARRIVALS.keys())
@pytest.mark.parametrize("restarts", [False, True])
def test_a_record_for_each_message_is_the_conversation_of_its_span(
    store: Store, arrival: Sequence[Envelope], restarts: bool
) -> None:
    daemon = Daemon(store)
    for number, envelope in enumerate(arrival):
        daemon.deliver([replace(envelope, received_at=envelope.received_at + number * 10**9)])
        if restarts:
            daemon.restart()
    (call,) = calls(store)
    assert (call["InputKey"], call["OutputKey"]) == ("gen_ai.input.messages", "gen_ai.output.messages")
    assert [message["role"] for message in json.loads(call["Input"])] == ["system", "user", "assistant", "tool"]
    assert call["Cost"] > 0
    (entry,) = run_of(read_spans(store.query("SELECT * FROM otel_traces FINAL", {}))).rounds
    assert entry.call
    assert entry.finish_reason == "stop"
    assert "It rains." in call["Output"]


def test_records_without_content_leave_a_span_without(store: Store) -> None:
    daemon = Daemon(store)
    bare = [record({"role": "user"}, {"event.name": "gen_ai.user.message"}, trace_id=TRACE, span_id=SPAN)]
    payload = log_request(*bare).SerializeToString()
    daemon.deliver([called(), Envelope("default", NOW, 1, payload, signal=Signal.LOGS)])
    (call,) = calls(store)
    assert (call["Input"], call["InputKey"]) == ("", "")
