"""Content that has expired: nothing of it is left, and nothing that is known of a call is lost."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from prometheus_client import CollectorRegistry

from collector.billing.across_batches import Billing
from collector.billing.reprice import apply, compare
from collector.enrich import RecentTraces
from collector.enrich.stored import PRICE_STEP, decoded_again
from collector.runs import read_spans, run_of
from collector.store import Store
from collector.store.content_expiry import expire_content
from collector.storing import log_path
from collector.telemetry import Metrics
from collector.web.run import run_json
from tests.support import stored
from tests.support.captured import CASES, captured, truth
from tests.support.expiry import RULES, expire, wait_until_expired
from tests.support.signals import log_envelope, log_request, record
from tests.support.spans import envelope
from tests.support.spending import ALL

CONTENT_COLUMNS = {"Input", "Output", "InputKey", "OutputKey"}  # an empty attribute is found by the next key
FACTS = (
    "Kind, Operation, Provider, RequestModel, ResponseModel, ResponseId, AgentName, ToolName, Feature, "
    "ConversationId, UserId, InputTokens, OutputTokens, CacheReadTokens, CacheWriteTokens, ReasoningTokens, "
    "toString(UsageDetails) AS Usage, Cost, toString(CostDetails) AS Receipt, PriceStatus, PriceRef, ReportedCost, "
    "FinishReason, InputKey, OutputKey"
)


def rows(store: Store, select: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.query(
        f"SELECT Project, TraceId, SpanId, {select} FROM otel_traces FINAL ORDER BY Project, TraceId, SpanId", {}
    ).to_pylist()
    return found


def answers(store: Store) -> list[Any]:
    """Every row's facts, the list of runs, and spend by model."""
    by_model = "SELECT ResponseModel, sum(Cost) AS Cost, count() AS Calls FROM otel_traces FINAL GROUP BY 1 ORDER BY 1"
    runs = "SELECT * FROM runs ORDER BY TraceId"
    return [rows(store, FACTS), *(store.query(query, {}).to_pylist() for query in (runs, by_model))]


@pytest.fixture
def everything(store: Store) -> Store:
    """A store with every captured payload."""
    billing = Billing(stored.ENRICHER, RecentTraces(100_000))
    for case in CASES:
        stored.deliver(store, billing, captured(case), case)
    return store


def test_whatever_is_known_of_a_call_outlives_its_content(everything: Store) -> None:
    before, foreseen = answers(everything), compare(everything, stored.ENRICHER, ALL)
    expire(everything)
    assert answers(everything) == before
    assert compare(everything, stored.ENRICHER, ALL) == foreseen
    assert apply(everything, stored.ENRICHER, ALL).written == sum(model.changed for model in foreseen.models.values())


def test_facts_are_read_again_from_a_row_without_content(everything: Store) -> None:
    def read_again() -> list[dict[str, Any]]:
        table = everything.query("SELECT * FROM otel_traces FINAL ORDER BY Project, TraceId, SpanId", {})
        batch = decoded_again(table, PRICE_STEP)
        enriched = stored.ENRICHER.finish(stored.ENRICHER.read(batch), np.ones(batch.num_rows, np.bool_))
        names = [name for name in enriched.schema.names if name not in batch.schema.names]
        found: list[dict[str, Any]] = (
            pa.Table.from_batches([enriched])
            .select(["TraceId", "SpanId", "ScopeName", *(name for name in names if name not in CONTENT_COLUMNS)])
            .to_pylist()
        )
        return found

    before = read_again()
    expire(everything)
    after = read_again()
    wrong = [
        (old["ScopeName"], name, old[name], new[name])
        for old, new in zip(before, after, strict=True)
        for name in old
        if old[name] != new[name]
    ]
    assert wrong == []


def words(case: str) -> set[str]:
    """What people, models and instructions said in a case, where the text is whole and no common word."""
    calls = truth(case)["llm_calls"]
    texts = (call.get(name) for call in calls for name in ("system_text", "prompt_text", "completion_text"))
    return {text for text in texts if isinstance(text, str) and len(text.partition("\n")[0]) > 12}


def test_nothing_anyone_said_is_left(everything: Store) -> None:
    """Except where a program has put it into an attribute of its own name."""
    looked_for = sorted({line for case in CASES for text in words(case) for line in text.splitlines()[:1] if line})
    everywhere = "concat(Input, Output, toString(SpanAttributes), toString(`Events.Attributes`))"

    def spans() -> int:
        text = f"SELECT {everywhere} AS Text FROM otel_traces FINAL WHERE NOT mapContains(SpanAttributes, 'q')"
        stored_texts = everything.query(text, {}).column("Text").to_pylist()
        return sum(any(words in found for words in looked_for) for found in stored_texts)

    assert spans() > 300
    expire(everything)
    assert spans() == 0


def test_a_run_is_shown_without_its_content(everything: Store) -> None:
    expire(everything)
    stored_rows = everything.query("SELECT * FROM otel_traces FINAL", {})
    assert pc.all(stored_rows.column("ContentExpired")).as_py()
    for trace_id in stored_rows.column("TraceId").unique().to_pylist():
        spans = read_spans(stored_rows.filter(pc.equal(stored_rows.column("TraceId"), trace_id)))
        assert run_json(trace_id, run_of(spans))["spans"] == len(spans)


def test_content_of_a_day_waits_for_the_days_last_span_but_no_longer_than_a_grace(store: Store) -> None:
    second = 1_000_000_000
    billing = Billing(stored.ENRICHER, RecentTraces(1000))
    first, last = (replace(envelope(at, ["call"]), received_at=at * second) for at in (1, 9))
    stored.deliver(store, billing, [first], "first")
    stored.deliver(store, billing, [last], "last")
    assert expire_content(store, RULES, 5 * second, 0) == []
    days = expire_content(store, RULES, 5 * second, 2 * second)
    assert len(days) == 1
    wait_until_expired(store)
    by_time = (
        "SELECT ReceivedAt < toDateTime64(5, 9, 'UTC') AS Old, min(ContentExpired) AS Low, max(ContentExpired) AS High"
    )
    found = store.query(f"{by_time} FROM otel_traces FINAL GROUP BY Old ORDER BY Old", {}).to_pylist()
    assert [(row["Old"], row["Low"], row["High"]) for row in found] == [(0, False, False), (1, True, True)]


def test_content_of_log_records_expires_and_what_is_known_of_events_stays(store: Store) -> None:
    attrs = {
        "event.name": "api_request",
        "session.id": "s",
        "model": "m",
        "input_tokens": 41,
        "prompt": "tell me",
        "role": "user",
        "own": "x" * 2000,
    }
    semantic = record("words", {"gen_ai.system": "openai", "said": "words"}, event_name="gen_ai.user.message")
    message = log_request(record("claude_code.api_request", attrs), semantic)
    path = log_path(Metrics(CollectorRegistry()))
    sent = replace(log_envelope([]), payload=message.SerializeToString())
    rows_to_store = path.tables[0].enrich(store, path.decode([sent]))
    with rows_to_store.inserting(again=False) as insert:
        for day, part, _ in rows_to_store.by_day():
            insert(store, part, f"segment/{day}")
    expire(store)
    question = "SELECT Event, SessionId, Body, LogAttributes, ContentExpired FROM otel_logs FINAL ORDER BY Event"
    api_request, said = store.query(question, {}).to_pylist()
    assert (api_request["SessionId"], api_request["Body"], api_request["ContentExpired"]) == ("s", "", True)
    assert dict(api_request["LogAttributes"]) == {**{k: str(v) for k, v in attrs.items()}, "prompt": "", "own": ""}
    assert dict(said["LogAttributes"]) == {"gen_ai.system": "openai", "said": ""}
