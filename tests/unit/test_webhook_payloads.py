"""The bodies of webhooks."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.budgets import EventType
from collector.webhooks.payloads import render
from tests.support.webhooks import an_event

DATA: dict[str, Any] = {
    "budget": "support-month",
    "scope": {"feature": "checkout", "model": "<gpt> & co"},
    "period": {"kind": "month", "start": "2025-10-01T00:00:00-04:00", "end": "x", "timezone": "America/New_York"},
    "unit": "usd",
    "spend": "800.120000000000",
    "limit": "1000.000000000000",
    "spent_fraction": "0.8001",
    "fraction": "0.8",
    "late": False,
    "crossed_by": {"project": "default", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"},
    "top": [
        {"feature": "checkout", "model": "gpt-5", "spend": "700.000000000001"},
        {"feature": "", "model": "m", "spend": "1"},
    ],
    "url": "https://spanmeter.example.com/budgets/support-month?a=1&b=2",
}


def rendered(template: str, **changes: Any) -> Any:
    return json.loads(render(an_event(**{"data": DATA} | changes), template), parse_float=_no_float)


def _no_float(text: str) -> None:
    raise AssertionError(f"a float in a webhook: {text}")


def test_the_standard_body_has_type_timestamp_and_data() -> None:
    assert rendered("standard") == {
        "type": "budget.threshold_reached",
        "timestamp": "2025-10-09T08:53:20.000000Z",
        "data": DATA,
    }


def test_money_stays_a_decimal_string() -> None:
    assert rendered("standard", data={"spend": Decimal("0.000000000001")})["data"] == {"spend": "0.000000000001"}
    assert rendered("json")["spend"] == "800.120000000000"


def test_the_flat_body_has_no_objects_in_it() -> None:
    flat = rendered("json")
    assert flat["scope_feature"] == "checkout"
    assert flat["crossed_by_trace_id"] == DATA["crossed_by"]["trace_id"]
    assert flat["period_timezone"] == "America/New_York"
    assert flat["id"] == an_event().id
    assert not [key for key, value in flat.items() if isinstance(value, dict)]


def test_the_flat_body_keeps_its_own_names() -> None:
    flat = rendered("json", data={"id": "theirs", "type": "theirs"})
    assert (flat["id"], flat["type"]) == (an_event().id, "budget.threshold_reached")


def test_a_slack_message_says_what_happened() -> None:
    message = rendered("slack")
    assert message["text"] == ":warning: Budget support-month reached 80 %: $800.12 of $1000"
    shown = json.dumps(message["blocks"], ensure_ascii=False)
    for said in ("checkout", "&lt;gpt&gt; &amp; co", "80.01 %", "America/New_York", "0af7651916cd43dd8448eb211c80319c"):
        assert said in shown
    assert "• checkout on gpt-5: $700.000000000001\\n" in shown
    assert "• (no feature) on m: $1" in shown
    assert "<https://spanmeter.example.com/budgets/support-month?a=1&amp;b=2|Open in spanmeter>" in shown


def test_tokens_are_no_dollars() -> None:
    message = rendered("slack", data={"unit": "tokens", "spend": "5", "limit": "10"})
    assert message["text"].endswith("5 tokens of 10 tokens")


@pytest.mark.parametrize("kind", EventType)
def test_every_event_has_a_title(kind: EventType) -> None:
    message = rendered("slack", type=kind, data={}, threshold="")
    assert message["text"]
    assert "{" not in message["text"]


@given(
    st.text(max_size=200) | st.just("x" * 1_000_000),
    st.dictionaries(
        st.sampled_from([*DATA, "projected", "breach_at", "message"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    ),
    st.sampled_from(["standard", "json", "slack"]),
)
def test_any_event_renders_within_slacks_limits(name: str, data: dict[str, Any], template: str) -> None:
    body = render(an_event(budget=name, data=data), template)
    body.decode("ascii")
    if template == "slack":
        message = json.loads(body)
        assert len(message["text"]) <= 3000
        for block in message["blocks"]:
            limit = 150 if block["type"] == "header" else 3000
            assert 1 <= len(block.get("text", {"text": "-"})["text"]) <= limit
            fields = block.get("fields", [{"text": "-"}])
            assert 1 <= len(fields) <= 10
            assert all(1 <= len(field["text"]) <= 2000 for field in fields)
