"""A run's spans in columns, one span with its receipt, and its texts by byte range, over a real store."""

import http.client
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.store import Store
from tests.support import stored
from tests.support.budgets import Desk
from tests.support.captured import captured
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

# Nested agents, tools, cached tokens, two instrumentations of one call, and a provider's own client.
_CASES = ("oi-langgraph+openai-double", "anthropic-sdk-native", "pydantic-ai-native", "claude-code-2.1-traces")


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    with served(desk, store=store) as web:
        yield web


def traces(web: Web) -> list[dict[str, Any]]:
    runs = web.ask("GET", "/api/v1/runs?since=2026-01-01&limit=1000").body["runs"]
    return [web.ask("GET", f"/api/v1/traces/{run['trace_id']}").body for run in runs]


def download(web: Web, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def test_every_captured_span_is_the_same_in_columns_and_whole(web: Web, store: Store) -> None:
    billing = Billing(ENRICHER, RecentTraces(100_000))
    for case in _CASES:
        stored.deliver(store, billing, captured(case), case)
    priced = 0
    for trace in traces(web):
        found = web.ask("GET", f"/api/v1/runs/{trace['trace_id']}/spans").body
        columns, texts = found["columns"], found["texts"]
        rows = {span["SpanId"]: span for span in trace["spans"]}
        assert sorted(columns["span_id"]) == sorted(rows)
        begin = int(found["started_at_unix_nano"])
        for at, span_id in enumerate(columns["span_id"]):
            row = rows[span_id]
            assert texts[columns["name"][at]] == row["SpanName"]
            assert texts[columns["kind"][at]] == row["Kind"]
            assert texts[columns["model"][at]] == row["ResponseModel"] or row["RequestModel"]
            assert columns["input_tokens"][at] == row["InputTokens"]
            assert columns["start"][at] == (int(row["Timestamp"]) - begin) // 1000
            assert Decimal(columns["cost"][at] or 0) == Decimal(row["Cost"] or 0)
            above = columns["parent"][at]
            assert above < at
            parent = columns["span_id"][above] if above >= 0 else ""
            assert parent == (row["ParentSpanId"] if row["ParentSpanId"] in rows else "")
        assert {columns["span_id"][error["row"]] for error in found["errors"]} == {
            span_id for span_id, row in rows.items() if row["StatusCode"] == "Error"
        }
        for span_id, row in (call for call in rows.items() if call[1]["Kind"] == "llm"):
            whole = web.ask("GET", f"/api/v1/runs/{trace['trace_id']}/spans/{span_id}").body
            assert "receipt" in whole, whole
            receipt = whole["receipt"]
            assert receipt["total"] == row["Cost"]
            if receipt["lines"]:
                priced += 1
                assert sum(Decimal(line["amount"]) for line in receipt["lines"]) == Decimal(row["Cost"])
                for line in receipt["lines"]:
                    exact = Decimal(line["rate"]) * line["quantity"] / line["per"]
                    assert abs(exact - Decimal(line["amount"])) < Decimal("1e-12")
            assert {**whole["attributes"], **dict.fromkeys(whole["long_attributes"])}.keys() == row[
                "SpanAttributes"
            ].keys()
            assert (whole["input"]["characters"], whole["output"]["characters"]) == (
                len(row["Input"]),
                len(row["Output"]),
            )
    assert priced > 5


def test_texts_are_read_by_byte_range(web: Web, store: Store) -> None:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), captured("oi-openai"), "run")
    row = next(span for trace in traces(web) for span in trace["spans"] if len(span["Input"]) > 300)
    path = f"/api/v1/runs/{row['TraceId']}/spans/{row['SpanId']}"
    text = row["Input"].encode()
    status, headers, body = download(web, f"{path}/input", **{"accept-encoding": "gzip"})
    assert (status, body, "content-encoding" in headers) == (200, text, False)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment")
    for asked, part in (
        ("bytes=0-9", text[:10]),
        ("bytes=10-", text[10:]),
        ("bytes=-7", text[-7:]),
        ("bytes=5-999999999", text[5:]),
    ):
        status, headers, body = download(web, f"{path}/input", range=asked)
        assert (status, body) == (206, part), asked
        assert headers["content-range"].endswith(f"/{len(text)}")
    status, headers, body = download(web, f"{path}/input", range=f"bytes={len(text)}-")
    assert (status, headers["content-range"], body) == (416, f"bytes */{len(text)}", b"")
    assert download(web, f"{path}/input", range="bytes=9-1")[0] == 200, "what is no range is not looked at"
    key, value = next((key, value) for key, value in row["SpanAttributes"].items() if value)
    assert download(web, f"{path}/attributes/{key}")[2] == value.encode()
    assert download(web, f"{path}/attributes/none")[0] == 404
    assert json.loads(download(web, f"/api/v1/runs/{row['TraceId']}/spans/{'0' * 16}/output")[2])["error"]
