"""Sessions of coding agents under every policy: the same calls are billed the same, from logs and spans alike."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from collector.config import CaptureConfig
from collector.store import Store
from tests.support.capture import capture
from tests.support.sessions import CASES, Daemon, requests

QUICK = ("claude-code-2.1-logs", "codex-exec-logs", "gemini-cli-traces")
COLUMNS = (
    "TraceId, SpanId, Kind, Provider, RequestModel, ResponseModel, ConversationId, UserId, InputTokens, OutputTokens, "
    "CacheReadTokens, CacheWriteTokens, ReasoningTokens, UsageDetails, Cost, PriceStatus"
)
BILLED = "PriceStatus IN ('priced', 'reported', 'unknown_model')"


def billed(store: Store, case: str, policy: str) -> Counter[str]:
    """What is billed of a case, in a store that is emptied first."""
    for table in ("otel_traces", "otel_logs", "otel_metrics_sum", "otel_traces_trace_id_ts"):
        store.command(f"TRUNCATE TABLE {table}")
    daemon, policies = Daemon(store), capture(CaptureConfig.model_validate({"default": policy}))
    for each in requests(case):
        payload = policies.apply(each.signal, each.project, each.payload)
        if payload:
            daemon.deliver([replace(each, payload=payload)])
    rows: list[dict[str, Any]] = store.query(f"SELECT {COLUMNS} FROM otel_traces FINAL WHERE {BILLED}", {}).to_pylist()
    return Counter(_without_derived_ids(row) for row in rows)


def _without_derived_ids(row: dict[str, Any]) -> str:
    """Ids that are made of a record's fingerprint follow what the record says."""
    return repr({key: value for key, value in row.items() if key not in {"TraceId", "SpanId"}})


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.long) for case in CASES]
)
def test_the_same_is_billed(store: Store, case: str) -> None:
    full = billed(store, case, "full")
    assert billed(store, case, "metadata") == full
    assert billed(store, case, "off") == full
    texts = store.query("SELECT countIf(Body != '') AS found FROM otel_logs", {}).to_pylist()
    assert texts == [{"found": 0}]
