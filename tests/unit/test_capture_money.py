"""What calls cost, and what budgets count them by, is the same under every policy: over all captured payloads."""

import dataclasses

import pyarrow as pa
import pytest

from collector.config import CaptureConfig
from collector.decode import decode
from collector.enrich import RecentTraces
from collector.model.envelope import Envelope, Signal
from tests.support.capture import capture
from tests.support.captured import CASES, captured
from tests.support.stored import ENRICHER

# Everything that pricing decides, doubles are told by, or a budget may match; and the ids of sessions.
COUNTED = [
    "TraceId", "SpanId", "ParentSpanId", "Timestamp", "Duration", "StatusCode", "ServiceName", "ScopeName",
    "Kind", "Operation", "Provider", "RequestModel", "ResponseModel", "ResponseId",
    "InputTokens", "OutputTokens", "CacheReadTokens", "CacheWriteTokens", "ReasoningTokens", "UsageDetails",
    "Cost", "CostDetails", "PriceStatus", "PriceRef", "ReportedCost", "Feature", "ConversationId", "UserId", "Version",
]  # fmt: skip
NAMED = ["AgentName", "ToolName", "FinishReason", "SpanName"]


def counted(envelopes: list[Envelope]) -> pa.RecordBatch:
    reading = ENRICHER.read(decode(envelopes))
    billed = RecentTraces(10_000).absorb(reading.spans)
    return ENRICHER.finish(reading, billed.billed)


def under(policy: str, envelopes: list[Envelope]) -> list[Envelope]:
    policies = capture(CaptureConfig.model_validate({"default": policy}))
    return [
        dataclasses.replace(each, payload=policies.apply(Signal.TRACES, each.project, each.payload))
        for each in envelopes
    ]


@pytest.mark.parametrize("case", CASES)
def test_nothing_that_is_counted_changes(case: str) -> None:
    sent = captured(case)
    full = counted(sent)
    metadata, off = under("metadata", sent), under("off", sent)
    assert counted(metadata).select(COUNTED + NAMED).to_pylist() == full.select(COUNTED + NAMED).to_pylist()
    assert counted(off).select(COUNTED).to_pylist() == full.select(COUNTED).to_pylist()
    assert {each.payload for each in (*metadata, *off)}.isdisjoint({each.payload for each in sent})
