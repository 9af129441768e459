"""The conversation of a run: each message once, results with their calls, and what a call repeats of the one before."""

import json
from typing import Any

from collector.runs import Span, messages, rounds
from collector.runs.conversation import conversation, repeated

SYSTEM = {"role": "system", "content": "Be brief."}
QUESTION = {"role": "user", "content": "Where is order 7?"}
ASKS = {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": "{}"}}]}
FAILS = {"role": "tool", "content": "timed out"}
ANSWER = {"role": "assistant", "content": "On its way."}


def call(span_id: str, start: int, sent: list[Any], said: Any) -> Span:
    return Span(
        span_id,
        kind="llm",
        operation="chat",
        start=start,
        end=start + 5,
        price_status="priced",
        input_key="gen_ai.input.messages",
        input=json.dumps(sent),
        output_key="gen_ai.output.messages",
        output=json.dumps([said]),
    )


def look(span_id: str, start: int, result: str) -> Span:
    key = "gen_ai.tool.call.result"
    return Span(span_id, kind="tool", start=start, end=start + 1, tool_name="look", output_key=key, output=result)


def test_what_a_tool_answered_is_not_a_message_again() -> None:
    result = {"role": "tool", "content": "left the warehouse"}
    spans = [
        call("one", 0, [SYSTEM, QUESTION], ASKS),
        look("tool", 6, '"left the warehouse"'),
        call("two", 10, [SYSTEM, QUESTION, ASKS, result], ANSWER),
    ]
    first, second = conversation(rounds(spans))
    assert [(message.role, message.text) for message in first.fresh] == [
        ("system", "Be brief."),
        ("user", "Where is order 7?"),
    ]
    assert second.fresh == []
    assert second.repeated == 3


def test_what_the_model_was_told_instead_is() -> None:
    spans = [
        call("one", 0, [QUESTION], ASKS),
        look("tool", 6, "a stack trace"),
        call("two", 10, [QUESTION, ASKS, FAILS], ANSWER),
    ]
    assert [message.text for message in conversation(rounds(spans))[1].fresh] == ["timed out"]


def test_a_call_repeats_what_the_one_before_sent_and_answered() -> None:
    first, second, other = (
        messages(call("span", 0, sent, said))
        for sent, said in (
            ([SYSTEM, QUESTION], ASKS),
            ([SYSTEM, QUESTION, ASKS, FAILS], ANSWER),
            ([QUESTION, SYSTEM], ANSWER),
        )
    )
    assert repeated(first, second.input) == 3
    assert repeated(first, other.input) == 0
