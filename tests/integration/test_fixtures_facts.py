"""The facts of every captured span against what the model server logged, field by field.

What cannot be right from the payload alone is listed with its reason, and the list is asserted to be exactly what
fails: a rule that starts to work, or stops working, is seen.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from collector.enrich.conventions import Conventions
from collector.model.facts import Kind
from tests.support.captured import CASES, HIDDEN, LOGS, NO_CONTENT, NO_SPAN, NOT_SENT, STREAM_MODEL, truth
from tests.support.compare import conventions, facts, failures


@dataclass(frozen=True)
class Known:
    """Fields that are `absent`, `wrong` or `invented` for calls (`1-3 7`) or for things of these names (`a|b`)."""

    fields: str
    outcome: str
    of: str
    reason: str

    def entries(self) -> dict[str, set[Any]]:
        return {f"{name}:{self.outcome}": _members(self.of) for name in self.fields.split()}


NO_TOOLS = "a provider's client runs no tools: the results are in the next call's input"
EMBED = "the embedding's span does not say which model answered"
CUT = "attributes were cut at the SDK's length limit, inside JSON and characters"
SPREAD = "beside a text, tool calls are in ai.response.toolCalls, and stay there"
AUTOMATIC = "automatic function calling: one span for two calls, the tokens of the first are lost"
BARE = "the only argument is recorded bare, without its name"
ONE_ARGUMENT = "of a tool's arguments the command or the file is recorded, bare"
TOTALS = "generateObject sends two totals and nothing else"
STREAM_TOTALS = "streams have neither cached tokens nor a total"
PYTHON_TEXT = "content is Python's text of the objects; the parts are in llm.*_messages, and stay there"
FALSE_ERROR = "a finished Responses call is said to have ended with error"

KNOWN: dict[str, tuple[Known, ...]] = {
    "anthropic-sdk-native": (
        Known("completion prompt", "absent", "1-6 9", NO_CONTENT),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "claude-code-2.1-traces": (
        Known("cache_write_1h response_model", "absent", "1 3-8", NOT_SENT),
        Known("completion", "absent", "1 3-6", NO_CONTENT),
        Known("tool", "absent", "Agent|Bash|Read", NO_CONTENT),
        Known("tool", "invented", "claude_code.tool", NO_CONTENT),
    ),
    "claude-code-2.1.332-traces": (
        Known("cache_write_1h", "absent", "1 3-10", NOT_SENT),
        Known("completion", "absent", "1 3-6 8-9", NO_CONTENT),
        Known("tool", "absent", "Agent|Bash|Read|Write", ONE_ARGUMENT),
        Known("tool", "invented", "claude_code.tool", ONE_ARGUMENT),
    ),
    "google-adk": (
        Known("completion prompt", "absent", "1-7 9-10", NO_CONTENT),
        Known("response_id response_model", "absent", "1-7 9-10", NOT_SENT),
        Known("tool", "absent", "broken_tool|get_weather", NO_CONTENT),
        Known("tool", "invented", "execute_tool broken_tool|execute_tool get_weather", NO_CONTENT),
        Known("user", "absent", "1-7 9-10", "the user is only in log records"),
    ),
    "google-adk-legacy": (
        Known("completion prompt", "absent", "1-7 9-10", LOGS),
        Known("response_id response_model", "absent", "1-7 9-10", NOT_SENT),
        Known("tool", "absent", "broken_tool|get_weather", LOGS),
        Known("tool", "invented", "execute_tool broken_tool|execute_tool get_weather", NO_CONTENT),
        Known("user", "absent", "1-7 9-10", "the user is only in log records"),
    ),
    "langfuse-sdk": (
        Known("finish_reason", "absent", "1-2 6-7", NOT_SENT),
        Known("provider request_model", "absent", "1-3 6-8", NOT_SENT),
        Known("response_id", "absent", "1-3 6-7", NOT_SENT),
        Known("usage", "invented", "manual-gen", "recorded by hand, for no call that the model server saw"),
    ),
    "langsmith-otel": (Known("call", "absent", "12", NO_SPAN),),
    "litellm-native": (
        Known("completion", "wrong", "1", "tool calls are in gen_ai.completion.N beside empty parts, and stay there"),
        Known("provider", "absent", "7", "the provider of embeddings is sent empty"),
        Known("response_id", "wrong", "6", "LiteLLM makes an id of its own"),
        Known("response_model", "wrong", "3", STREAM_MODEL),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "logfire-openai": (
        Known("finish_reason", "absent", "13-15", NOT_SENT),
        Known("response_id", "absent", "5 7 15", NOT_SENT),
        Known("response_model", "wrong", "5 7 15", STREAM_MODEL),
        Known("tool", "absent", "get_weather", "tools are plain spans whose arguments are attributes of any name"),
    ),
    "mlflow-otlp": (
        Known(
            "completion finish_reason",
            "wrong",
            "7",
            "tool calls of streams are dropped, and the ending is said to be stop",
        ),
        Known("provider", "absent", "17", NOT_SENT),
    ),
    "oi-crewai": (Known("call", "absent", "1-2 6-7", NO_SPAN),),
    "oi-google-genai": (
        Known("call", "absent", "1", AUTOMATIC),
        Known("request_model", "absent", "2-3 5", NOT_SENT),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "oi-js-openai": (
        Known(
            "call",
            "absent",
            "5 10",
            "streams and embeddings carry no tokens to join by; the span is there without usage",
        ),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "oi-langgraph": (
        Known("finish_reason", "absent", "12", NOT_SENT),
        Known("response_model", "wrong", "12", STREAM_MODEL),
        Known("tool", "absent", "broken_tool", BARE),
        Known("tool", "invented", "broken_tool", BARE),
    ),
    "oi-langgraph+openai-double": (
        Known("response_model", "wrong", "12", STREAM_MODEL),
        Known("tool", "absent", "broken_tool", BARE),
        Known("tool", "invented", "broken_tool", BARE),
    ),
    "oi-llamaindex": (
        Known("agent", "absent", "weather_agent", "the agent is a CHAIN span of its class's name"),
        Known("completion", "wrong", "1", PYTHON_TEXT),
        Known("prompt", "wrong", "1-2", PYTHON_TEXT),
        Known("response_id", "absent", "1-2 6", NOT_SENT),
        Known("response_model", "wrong", "1-2 6", STREAM_MODEL),
    ),
    "oi-openai-agents": (
        Known("cache_read finish_reason reasoning request_model response_id", "absent", "4-5", NOT_SENT),
        Known("request_model", "wrong", "1-3 6-8 10", "the invocation parameters repeat the response"),
        Known("response_model", "wrong", "4-5", STREAM_MODEL),
        Known("tool", "invented", "handoff to weather_agent", "a handoff is recorded as a tool"),
    ),
    "oi-openai-hide-io": (
        Known("completion prompt", "wrong", "1-5 7 11-15", HIDDEN),
        Known("finish_reason", "absent", "13-15", HIDDEN),
        Known("response_id", "absent", "1-5 7 11-15", HIDDEN),
        Known("tool", "absent", "get_weather", HIDDEN),
        Known("tool", "invented", "get_weather", HIDDEN),
    ),
    "openlit-anthropic": (
        Known("cache_read cache_write", "absent", "5-6", STREAM_TOTALS),
        Known("cache_write_1h", "absent", "1-6 9", NOT_SENT),
        Known("input", "wrong", "5-6", STREAM_TOTALS),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "openlit-openai": (
        Known("reasoning", "absent", "1-5 7 11-12", NOT_SENT),
        Known("tool", "absent", "get_weather", NO_TOOLS),
        Known(
            "usage",
            "invented",
            "chat gpt-4o-mini",
            "OpenLIT estimates the tokens of streams that end without usage and marks nothing",
        ),
    ),
    "otel-genai-langchain": (Known("finish_reason", "wrong", "12", FALSE_ERROR),),
    "otel-genai-langchain-nocontent": (
        Known("completion prompt", "absent", "1-5 10-12", NO_CONTENT),
        Known("finish_reason", "wrong", "12", FALSE_ERROR),
        Known("tool", "absent", "broken_tool|get_weather", NO_CONTENT),
        Known("tool", "invented", "execute_tool broken_tool|execute_tool get_weather", NO_CONTENT),
    ),
    "otel-genai-openai-agents": (Known("call", "absent", "1-8 10", NO_SPAN),),
    "otel-genai-openai-default-no-optin": (
        Known("completion", "absent", "1-7 11-15", NO_CONTENT),
        Known("prompt", "absent", "1-8 11-15", NO_CONTENT),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "otel-genai-openai-event_only": (
        Known("completion", "absent", "1-7 11-15", LOGS),
        Known("prompt", "absent", "1-8 11-15", LOGS),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "otel-genai-openai-nocontent": (
        Known("completion", "absent", "1-7 11-15", NO_CONTENT),
        Known("prompt", "absent", "1-8 11-15", NO_CONTENT),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "otel-genai-openai-span_and_event": (Known("tool", "absent", "get_weather", NO_TOOLS),),
    "otel-genai-openai-span_only-grpc": (Known("tool", "absent", "get_weather", NO_TOOLS),),
    "otel-google-genai-legacy": (
        Known("call", "absent", "1", AUTOMATIC),
        Known("completion prompt", "absent", "2-3 5", NO_CONTENT),
        Known("tool", "absent", "get_weather", NO_CONTENT),
        Known("tool", "invented", "execute_tool get_weather", NO_CONTENT),
    ),
    "otel-openai-v2-latest": (
        Known("cache_read reasoning", "absent", "1-5 7 11-12", NOT_SENT),
        Known("call", "absent", "13-15", "the Responses API is not instrumented"),
        Known("prompt", "wrong", "12", "parts of a message that has an image are dropped"),
        Known("tool", "absent", "get_weather", NO_TOOLS),
    ),
    "pydantic-ai-v1x-native-default": (
        Known(
            "cache_read input output reasoning",
            "absent",
            "1-6 9-12 14-15",
            "1.9 with this SDK puts OpenAI tokens only on the agent's span, as a sum",
        ),
        Known("cache_write_1h", "absent", "7-8", NOT_SENT),
    ),
    "strands-native-latest": (
        Known("provider", "absent", "1-6 8-9", "the framework is sent as the provider"),
        Known("reasoning response_id response_model", "absent", "1-6 8-9", NOT_SENT),
    ),
    "traceloop-anthropic-v0.40": (
        Known("cache_write_1h", "absent", "1-5 9", NOT_SENT),
        Known("call", "absent", "6", "the stream's span carries neither tokens nor id"),
        Known(
            "output", "wrong", "5", "adds what message_start announced to the total of message_delta: one token more"
        ),
    ),
    "traceloop-js-openai": (
        Known("cache_read reasoning", "absent", "1-5 8-9", NOT_SENT),
        Known("call", "absent", "10", NO_SPAN),
        Known("input output", "wrong", "5", "the tokens of streams are estimated"),
        Known("usage", "invented", "chat gpt-4o-mini", "the tokens of streams are estimated, here of an abandoned one"),
    ),
    "traceloop-langgraph": (
        Known("reasoning", "absent", "1-5 10", NOT_SENT),
        Known("response_model", "wrong", "11", STREAM_MODEL),
    ),
    "traceloop-openai": (
        Known("prompt", "absent", "12", "messages with images are uploaded elsewhere"),
        Known("reasoning", "absent", "5 7", NOT_SENT),
    ),
    "traceloop-openai-nocontent": (
        Known("completion", "absent", "1-7 11-15", NO_CONTENT),
        Known("prompt", "absent", "1-8 11-15", NO_CONTENT),
        Known("reasoning", "absent", "5 7", NOT_SENT),
        Known("tool", "absent", "get_weather", NO_CONTENT),
        Known("tool", "invented", "get_weather.tool", NO_CONTENT),
    ),
    "vercel-ai6-json": (
        Known("cache_read reasoning", "absent", "12", TOTALS),
        Known("completion", "wrong", "7", SPREAD),
        Known("response_model", "absent", "16", EMBED),
    ),
    "vercel-ai6-proto": (
        Known("cache_read reasoning", "absent", "12", TOTALS),
        Known("completion", "wrong", "7", SPREAD),
        Known("response_model", "absent", "16", EMBED),
    ),
    "vercel-ai6-proto-lone-surrogate": (
        Known("cache_read reasoning", "absent", "12", TOTALS),
        Known("cache_write_1h", "absent", "7-9", CUT),
        Known("completion", "wrong", "3 5 7", CUT),
        Known("prompt", "wrong", "1-8 10-11 14", CUT),
        Known("response_model", "absent", "16", EMBED),
    ),
    "vercel-ai7-legacy": (
        Known("agent", "absent", "loop_agent", "the id given to the agent object is in no span"),
        Known("response_model", "absent", "14", EMBED),
    ),
    "vercel-ai7-otel-json": (
        Known("agent", "absent", "loop_agent", "the id given to the agent object is in no span"),
        Known("conversation user", "absent", "1-10 12-14", "session and user given to the SDK are in no span"),
        Known("response_model", "absent", "14", EMBED),
    ),
}


def _members(of: str) -> set[Any]:
    if not of[0].isdigit():
        return set(of.split("|"))
    numbers: set[Any] = set()
    for part in of.split():
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


@pytest.fixture(scope="module")
def loaded() -> Conventions:
    return conventions()


def test_every_captured_case_is_here() -> None:
    assert len(CASES) >= 47
    assert set(KNOWN) <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_facts_equal_the_truth(case: str, loaded: Conventions) -> None:
    expected: dict[str, set[Any]] = {}
    for known in KNOWN.get(case, ()):
        for name, members in known.entries().items():
            expected.setdefault(name, set()).update(members)
    assert failures(case, loaded) == expected


@pytest.mark.parametrize("case", CASES)
def test_no_usage_is_inconsistent_and_content_keys_exist(case: str, loaded: Conventions) -> None:
    for span, said in facts(case, loaded):
        assert not any(name.startswith("inconsistent") for name in (said.usage.details if said.usage else ()))
        for key in (said.input_key, said.output_key):
            if key.endswith("."):
                assert any(name.startswith(key) for name in span.view.attributes)
            elif key and not key.startswith("event:"):
                assert key in span.view.attributes


@pytest.mark.parametrize("case", CASES)
def test_sums_over_calls_are_marked(case: str, loaded: Conventions) -> None:
    """What carries the tokens of more than one call, and is no call, is never taken for one."""
    for span, said in facts(case, loaded):
        if said.usage and said.kind is not Kind.LLM:
            assert said.usage_is_aggregate, span.view.name


def test_calls_of_one_answer_share_its_id(loaded: Conventions) -> None:
    """Two instrumentations on one call: the response id says so."""
    for case in ("oi-anthropic", "oi-langgraph+openai-double", "pydantic-ai-native", "otel-genai-langchain"):
        ids = [said.response_id for _, said in facts(case, loaded) if said.kind is Kind.LLM and said.response_id]
        doubled = [
            call["response_id"]
            for call in truth(case)["llm_calls"]
            if sum(place["own"] and place["kind"] == "llm" for place in call["spans"]) == 2
        ]
        assert doubled
        assert all(ids.count(answer) == 2 for answer in doubled)
