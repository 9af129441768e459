"""One conversation, told in the words of every family."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.runs import Message, Messages, Part, Span, ToolCall, ToolResult, messages, system_prompt

ARGUMENTS = '{"city": "Zürich"}'
SPOKEN = {"city": "Zürich"}


def told(input_key: str = "", input_: Any = "", output_key: str = "", output: Any = "", **more: Any) -> Messages:
    texts = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (input_, output)]
    return messages(
        Span("s", kind="llm", input_key=input_key, input=texts[0], output_key=output_key, output=texts[1], **more)
    )


def summary(found: tuple[Message, ...]) -> list[tuple[Any, ...]]:
    """Role, text, names of calls with their arguments, results with their ids."""
    return [
        (
            message.role,
            message.text,
            [(call.name, call.arguments) for call in message.calls],
            [(result.id, result.text) for result in message.results],
        )
        for message in found
    ]


CONVERSATION = [
    ("system", "Be brief.", [], []),
    ("user", "Weather?", [], []),
    ("assistant", "", [("get_weather", ARGUMENTS)], []),
    ("tool", "", [], [("c1", "21°C")]),
]
ASKED = {"name": "get_weather", "arguments": ARGUMENTS}
CALL = {"id": "c1", "type": "function", "function": ASKED}
OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "21°C"},
]
OTEL = [
    {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
    {"role": "user", "parts": [{"type": "text", "content": "Weather?"}]},
    {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": SPOKEN}]},
    {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "21°C"}]},
]
VERCEL = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
    {
        "role": "assistant",
        "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "get_weather", "input": SPOKEN}],
    },
    {
        "role": "tool",
        "content": [
            {
                "type": "tool-result",
                "toolCallId": "c1",
                "toolName": "get_weather",
                "output": {"type": "text", "value": "21°C"},
            }
        ],
    },
]
RESPONSES = {
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "function_call", "id": "fc", "call_id": "c1", "name": "get_weather", "arguments": ARGUMENTS},
        {"type": "function_call_output", "call_id": "c1", "output": "21°C"},
    ],
}
ANTHROPIC = {
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "get_weather", "input": SPOKEN}]},
        {"role": "tool", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "21°C"}]},
    ],
}
GOOGLE = {
    "contents": [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"function_call": {"id": "c1", "name": "get_weather", "args": SPOKEN}}]},
        {"role": "tool", "parts": [{"function_response": {"id": "c1", "name": "g", "response": {"result": "21°C"}}}]},
    ],
    "config": {"system_instruction": {"parts": [{"text": "Be brief."}]}},
}
BEDROCK = [
    {"role": "system", "content": [{"text": "Be brief."}]},
    {"role": "user", "content": [{"text": "Weather?"}]},
    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": SPOKEN}}]},
    {"role": "tool", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "21°C"}]}}]},
]


def langchain(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["x", kind], "kwargs": {"type": kind, **kwargs}}


LANGCHAIN = {
    "messages": [
        [
            langchain("system", content="Be brief."),
            langchain("human", content="Weather?"),
            langchain("ai", content="", tool_calls=[{"id": "c1", "name": "get_weather", "args": SPOKEN}]),
            langchain("tool", content="21°C", tool_call_id="c1"),
        ]
    ]
}


@pytest.mark.parametrize(
    "value",
    [OPENAI, {"model": "m", "messages": OPENAI}, OTEL, VERCEL, RESPONSES, ANTHROPIC, GOOGLE, BEDROCK, LANGCHAIN],
)
@pytest.mark.parametrize("key", ["gen_ai.input.messages", "input.value", "langfuse.observation.input"])
def test_what_a_model_was_told(key: str, value: Any) -> None:
    assert summary(told(key, value).input) == CONVERSATION


@pytest.mark.parametrize("first", [0, 5, 95])
def test_flattened_messages_start_at_any_index(first: int) -> None:
    prefix = "llm.input_messages."
    attributes = {
        f"{prefix}{first}.message.role": "system",
        f"{prefix}{first}.message.content": "Be brief.",
        f"{prefix}{first + 1}.message.role": "user",
        f"{prefix}{first + 1}.message.contents.0.message_content.type": "text",
        f"{prefix}{first + 1}.message.contents.0.message_content.text": "Weather?",
        f"{prefix}{first + 2}.message.role": "assistant",
        f"{prefix}{first + 2}.message.tool_calls.0.tool_call.id": "c1",
        f"{prefix}{first + 2}.message.tool_calls.0.tool_call.function.name": "get_weather",
        f"{prefix}{first + 2}.message.tool_calls.0.tool_call.function.arguments": ARGUMENTS,
        f"{prefix}{first + 12}.message.role": "tool",
        f"{prefix}{first + 12}.message.tool_call_id": "c1",
        f"{prefix}{first + 12}.message.content": "21°C",
    }
    assert summary(told("input.value", "a printed request", attributes=attributes).input) == CONVERSATION
    assert summary(told(prefix, attributes=attributes).input) == CONVERSATION


def test_indexed_prompts_and_completions() -> None:
    attributes = {
        "gen_ai.prompt.0.role": "system",
        "gen_ai.prompt.0.content": "Be brief.",
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": '[{"type": "text", "text": "Weather?"}]',
        "gen_ai.prompt.2.role": "assistant",
        "gen_ai.prompt.2.tool_calls.0.id": "c1",
        "gen_ai.prompt.2.tool_calls.0.name": "get_weather",
        "gen_ai.prompt.2.tool_calls.0.arguments": ARGUMENTS,
        "gen_ai.prompt.3.role": "tool",
        "gen_ai.prompt.3.tool_call_id": "c1",
        "gen_ai.prompt.3.content": "21°C",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Sunny.",
        "gen_ai.completion.0.finish_reason": "stop",
    }
    found = told("gen_ai.prompt.", "", "gen_ai.completion.", "", attributes=attributes)
    assert summary(found.input) == CONVERSATION
    assert found.output == (Message("assistant", (Part("text", "Sunny."),), finish_reason="stop"),)


def test_events() -> None:
    details = "gen_ai.client.inference.operation.details"
    events = (
        (details, {"gen_ai.system_instructions": '[{"type": "text", "content": "Be brief."}]'}),
        (details, {"gen_ai.input.messages": json.dumps(OTEL)}),
        (details, {"gen_ai.output.messages": json.dumps(OTEL[2:3])}),
    )
    found = told(f"event:{details}#gen_ai.input.messages", events=events)
    assert [message.role for message in found.input] == ["system", "user", "assistant", "tool"]
    assert [call.name for call in found.calls] == ["get_weather"]
    older = (
        ("gen_ai.system.message", {"content": "Be brief."}),
        ("gen_ai.user.message", {"content": '[{"text": "Weather?"}]'}),
        ("gen_ai.assistant.message", {"tool_calls": json.dumps([CALL])}),
        ("gen_ai.tool.message", {"content": "21°C", "id": "c1"}),
        ("gen_ai.choice", {"message": "Sunny.", "finish_reason": "end_turn"}),
    )
    found = told("event:gen_ai.user.message", events=older)
    assert summary(found.input) == CONVERSATION
    assert (found.output[0].text, found.output[0].finish_reason) == ("Sunny.", "end_turn")


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"finish_reason": "tool_calls", "message": {"role": "assistant", "tool_calls": [CALL]}}]},
        {"role": "assistant", "stop_reason": "tool_calls", "content": [{"type": "tool_use", **ASKED, "id": "c1"}]},
        [{"role": "assistant", "parts": [{"type": "tool_call", **ASKED, "id": "c1"}], "finish_reason": "tool_calls"}],
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "get_weather", "args": ARGUMENTS}}]},
                    "finishReason": "tool_calls",
                }
            ]
        },
        {
            "generations": [
                [
                    {
                        "generation_info": {"finish_reason": "tool_calls"},
                        "message": langchain("ai", content="", tool_calls=[{"id": "c1", "name": "get_weather", "args": ARGUMENTS}]),
                    }
                ]
            ]
        },
    ],
)  # fmt: skip
def test_what_a_model_answered(answer: Any) -> None:
    (message,) = told("", "", "output.value", answer).output
    assert message == Message(
        "assistant", calls=(ToolCall("c1", "get_weather", ARGUMENTS),), finish_reason="tool_calls"
    )


def test_the_ai_sdk_puts_text_and_calls_apart() -> None:
    calls = [{"toolCallId": "c1", "toolName": "get_weather", "input": ARGUMENTS}]
    attributes = {"ai.response.toolCalls": json.dumps(calls), "ai.response.finishReason": "tool-calls"}
    (message,) = told("", "", "ai.response.text", "Let me check.", attributes=attributes).output
    assert (message.text, message.calls) == ("Let me check.", (ToolCall("c1", "get_weather", ARGUMENTS),))


def test_reasoning_and_media_are_parts_of_their_own() -> None:
    answer = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]
    (message,) = told("", "", "output.value", answer).output
    assert message.parts == (Part("reasoning", "Hm."), Part("text", "Yes."))
    asked = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]
    assert told("input.value", asked).input[0].parts == (Part("image_url", "https://example.com/a.png"),)


def test_what_is_no_conversation_is_one_text() -> None:
    cut = '[{"role": "user", "parts": [{"type": "text", "con'
    assert told("gen_ai.input.messages", cut).input == (Message("user", (Part("text", cut),)),)
    assert told("", "", "output.value", '{"answer": 42}').output == (
        Message("assistant", (Part("text", '{"answer": 42}'),)),
    )
    assert told("", "", "output.value", {"choices": []}).output == ()


def test_arguments_are_as_they_were_sent() -> None:
    sent = r'[{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"a":"\u00fc","n":1.50}}]}]'
    assert told("", "", "gen_ai.output.messages", sent).calls[0].arguments == r'{"a":"\u00fc","n":1.50}'


def test_said_twice_counts_once() -> None:
    message = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c1", "name": "get_weather", "input": {}}],
        "tool_calls": [CALL],
    }
    assert len(told("", "", "output.value", [message]).calls) == 1
    assert (
        ToolResult("c1", "", "x")
        in told("input.value", [{"role": "tool", "tool_call_id": "c1", "content": "x"}]).input[0].results
    )


def test_system_prompts() -> None:
    def prompt(**more: Any) -> str:
        found = system_prompt([Span("s", kind="llm", **more)])
        return found.text if found else ""

    for value in (OPENAI, OTEL, RESPONSES, ANTHROPIC, GOOGLE, BEDROCK, LANGCHAIN):
        assert prompt(input_key="input.value", input=json.dumps(value)) == "Be brief."
    developer = [{"role": "developer", "content": "Be brief."}, {"role": "system", "content": "And kind."}]
    assert prompt(input_key="input.value", input=json.dumps(developer)) == "Be brief.\nAnd kind."
    assert prompt(attributes={"gen_ai.system_instructions": '[{"type":"text","content":"Be brief."}]'}) == "Be brief."
    assert prompt(attributes={"gen_ai.system_instructions": "Be brief."}) == "Be brief."
    assert prompt(attributes={"llm.invocation_parameters": '{"instructions": "Be brief."}'}) == "Be brief."
    assert prompt() == ""


def test_the_first_call_with_a_prompt_counts_before_any_agent() -> None:
    said = {"gen_ai.system_instructions": "From the agent."}
    spans = [
        Span("agent", kind="agent", start=0, end=9, attributes=said),
        Span("bare", "agent", kind="llm", start=1, end=2),
        Span("told", "agent", kind="llm", start=3, end=4, attributes={"gen_ai.system_instructions": "日本"}),
    ]
    found = system_prompt(spans)
    assert found
    assert (found.text, found.characters, found.span_id) == ("日本", 2, "told")
    agents = system_prompt(spans[:2])
    assert agents
    assert agents.text == "From the agent."


def test_deep_values_are_texts() -> None:
    for begin, end in (("[", "]"), ('{"text":', "}"), ('{"content":[', "]}"), ("{'text':", "}"), ('{"messages":', "}")):
        for depth in (40, 60, 190, 2_000, 100_000):
            text = begin * depth + "1" + end * depth
            found = told("input.value", text, "gen_ai.output.messages", text)
            assert depth < 50 or found.output == (Message("assistant", (Part("text", text),)),)


def test_keys_of_any_depth() -> None:
    attributes = {"gen_ai.prompt.0.content": "Hello.", "gen_ai.prompt." + "0." * 5_000: "x", "gen_ai.prompt.": "y"}
    attributes |= {"gen_ai.prompt.id": "z", "gen_ai.prompt.0": "w"}
    assert told("gen_ai.prompt.", attributes=attributes).input[0].text == "Hello."


def test_names_of_any_kind() -> None:
    odd = [
        {
            "role": "user",
            "content": [{"type": ["text"], "text": {"text": 7}}, {"type": {}, "x": 1}],
            "tool_calls": [3, []],
        }
    ]
    assert told("input.value", odd).input[0].parts == (Part("text", "7"), Part("other", '{"type": {}, "x": 1}'))


KEYS = st.sampled_from(
    [
        "gen_ai.prompt.0", "gen_ai.prompt.0.content", "gen_ai.prompt.00.role", "gen_ai.prompt.x.y", "gen_ai.completion.",
        "llm.input_messages.1.message", "llm.input_messages.1.message.tool_calls.0", "message.tool_calls.0.tool_call",
        "llm.output_messages.0.message.contents.0.message_content.text", "ai.response.toolCalls", "ai.response.text",
        "gen_ai.input.messages", "llm.tools.0.tool.json_schema", "gen_ai.tool.definitions", "gen_ai.system_instructions",
    ]
)  # fmt: skip
NAMES = st.sampled_from(
    ["role", "content", "parts", "tool_calls", "function", "messages", "choices", "type", "data", "kwargs", "text", "input",
     "system", "config", "tool_call_id", "name", "arguments", "output", "generations", "message", "function_call", "tools"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["tool", "text", "assistant", "{}", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=24,
)  # fmt: skip
TEXTS = st.text() | VALUES.map(json.dumps)


@given(TEXTS, TEXTS, st.dictionaries(KEYS, TEXTS), st.sampled_from(["gen_ai.choice", "gen_ai.tool.message", "x"]))
def test_nothing_that_is_sent_raises(told_: str, said: str, attributes: dict[str, str], event: str) -> None:
    events = ((event, {"content": told_, "message": said}),)
    found = told("input.value", told_, "output.value", said, attributes=attributes, events=events)
    for message in (*found.input, *found.output):
        assert isinstance(message.role, str)
        assert all(isinstance(part.text, str) for part in message.parts)
        assert all(isinstance(call.arguments, str) for call in message.calls)
        assert all(isinstance(result.text, str) for result in message.results)
