"""Content that comes as log records is the input and output of the span it belongs to, whichever comes first."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.store import Store
from tests.support.sessions import Daemon, requests

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
