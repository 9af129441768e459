"""Rounds, conversations, system prompts and tools of every captured run against what the model server logged.

What cannot be right from the payload alone is listed with its reason, and the list is asserted to be exactly what
fails: a rule that starts to work, or stops working, is seen.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from collector.runs import messages, rounds, system_prompt, toolbelt
from collector.runs.sources import may_prompt, may_request_tools
from tests.support.captured import CASES, HIDDEN, LOGS, NO_CONTENT, NO_SPAN, NOT_SENT, STREAM_MODEL, truth
from tests.support.runs import failures, runs


@dataclass(frozen=True)
class Known:
    """Fields that fail for calls (`1-3 7`) or for things of these names (`a|b`)."""

    fields: str
    of: str
    reason: str


NO_TOOLS = "a provider's client runs no tools: results are in the next call's input, and definitions are not sent"
ECHO = "the invocation parameters repeat the response"
ERROR_BARE = "spans of failed calls carry no content"
OTHER_TRACE = "the billed report is in a trace of its own, without content; the conversation is on its double elsewhere"
FOREIGN = "calls without usage that two instrumentations tell of in two traces are a call in each"
AUTOMATIC = "automatic function calling: one span for two calls, and the first one's request is told with the second"
IMAGE = "messages with images are dropped, or uploaded elsewhere"
CUT = "attributes were cut at the SDK's length limit, inside JSON"
ESTIMATED = "the tokens of streams are estimated or partial"
RETRIED = "an attempt that is repeated is an event of the call"
NO_SCHEMA = "tools are sent without the schema of their arguments"

_ALL_OPENAI = (
    Known("completion", "2 4-6 11-12 14-15", NO_CONTENT),
    Known("prompt", "1-16", NO_CONTENT),
    Known("requests", "1 3 7 13", NO_CONTENT),
    Known("system_prompt", "1-4 11 13-14", NO_CONTENT),
)
_GOOGLE_ADK = (
    Known("answered_model", "1-7 9-10", NOT_SENT),
    Known("belt_bare arguments", "broken_tool|get_weather", NO_SCHEMA),
    Known("completion", "2 4 6 10", NO_CONTENT),
    Known("prompt system_prompt", "1-10", NO_CONTENT),
    Known("requests", "1 3 5 7 9", NO_CONTENT),
    Known("result", "get_weather", NO_CONTENT),
)
_PYDANTIC_AI = (Known("prompt system_prompt", "13", ERROR_BARE),)
_NO_TOOL_RUNS = (Known("tool_absent", "get_weather", NO_TOOLS),)
_NO_BELT = (Known("belt_absent tool_absent", "get_weather", NO_CONTENT),)

KNOWN: dict[str, tuple[Known, ...]] = {
    "anthropic-sdk-native": (
        Known("completion", "1-6 9", NO_CONTENT),
        Known("prompt", "1-9", NO_CONTENT),
        Known("requests", "1 3 6", NO_CONTENT),
        Known("system_prompt", "1-4 9", NO_CONTENT),
        *_NO_BELT,
    ),
    "claude-code-2.1-traces": (
        Known("answered_model", "1 3-8", NOT_SENT),
        Known("arguments belt_bare", "Agent|Bash|Read", NO_CONTENT),
        Known("call_absent", "2", RETRIED),
        Known("requests", "1 3-6", NO_CONTENT),
    ),
    "claude-code-2.1.332-traces": (
        Known(
            "arguments belt_bare", "Agent|Bash|Read|Write", "of a tool's arguments the command or the file is recorded"
        ),
        Known("call_absent", "2", RETRIED),
        Known("requests", "1 3-6 8-9", NO_CONTENT),
    ),
    "google-adk": _GOOGLE_ADK,
    "google-adk-legacy": _GOOGLE_ADK,
    "langfuse-sdk": (
        Known("call_invented", "manual-gen", "recorded by hand, for no call that the model server saw"),
        Known("finish_reason", "1-2 6-7", NOT_SENT),
        Known("requested_model", "1-4 6-7", NOT_SENT),
    ),
    "langsmith-otel": (Known("call_absent", "12", NO_SPAN),),
    "litellm-native": (Known("answered_model", "3", STREAM_MODEL), *_NO_TOOL_RUNS),
    "logfire-openai": (
        Known("answered_model", "5-8 15", STREAM_MODEL),
        Known(
            "call_invented",
            "Chat Completion with {request_data[model]!r}|Responses API with {gen_ai.request.model!r}",
            "the end of a stream is reported in a trace of its own",
        ),
        Known("finish_reason", "13-15", NOT_SENT),
        Known("tool_absent", "get_weather", "tools are plain spans whose arguments are attributes of any name"),
    ),
    "mlflow-otlp": (
        Known("call_absent", "8", "a stream that is abandoned leaves no span"),
        Known("cause", "get_weather", "the tool that a Responses call asked for is a trace of its own"),
        Known("finish_reason requests", "7", "tool calls of streams are dropped, and the ending is said to be stop"),
    ),
    "oi-anthropic": (Known("completion prompt requests", "6", OTHER_TRACE),),
    "oi-crewai": (Known("call_absent", "1-7", NO_SPAN), Known("cause", "get_weather", NO_SPAN)),
    "oi-google-genai": (
        Known("call_absent", "1", AUTOMATIC),
        Known("requested_model", "2-3 5", NOT_SENT),
        Known("requests", "2", AUTOMATIC),
        Known("tool_absent", "get_weather", AUTOMATIC),
    ),
    "oi-js-openai": (
        Known("answered_model", "5-6", STREAM_MODEL),
        Known("call_absent", "7", "a failed call leaves no span"),
        Known("input_tokens", "5", NOT_SENT),
        *_NO_TOOL_RUNS,
    ),
    "oi-langgraph": (
        Known("answered_model", "6-8 12", STREAM_MODEL),
        Known("arguments", "broken_tool", "the only argument is recorded bare, without its name"),
        Known("completion prompt requests system_prompt", "11", OTHER_TRACE),
        Known("finish_reason", "12", NOT_SENT),
    ),
    "oi-langgraph+openai-double": (
        Known("answered_model", "12", STREAM_MODEL),
        Known("arguments", "broken_tool", "the only argument is recorded bare, without its name"),
        Known("call_invented", "ChatCompletion|ChatOpenAI|weather-run", FOREIGN),
        Known("cause", "get_weather", FOREIGN),
        Known("completion prompt requests system_prompt", "11", OTHER_TRACE),
        Known("finish_reason", "12", NOT_SENT),
    ),
    "oi-llamaindex": (
        Known("answered_model", "1-4 6", STREAM_MODEL),
        Known("call_invented", "OpenAI._prepare_chat_with_tools", "preparing a request is recorded as a model call"),
    ),
    "oi-openai-agents": (
        Known("answered_model", "4-5", STREAM_MODEL),
        Known("finish_reason", "4-5", NOT_SENT),
        Known("prompt system_prompt", "9", ERROR_BARE),
        Known("requested_model", "1-10", ECHO),
        Known("tool_left", "handoff to weather_agent", "a handoff is recorded as a tool"),
    ),
    "oi-openai-hide-io": (
        Known("arguments belt_bare result", "get_weather", HIDDEN),
        Known("completion", "2 4-6 11-12 14-15", HIDDEN),
        Known("finish_reason", "13-15", HIDDEN),
        Known("prompt", "1-16", HIDDEN),
        Known("requests", "1 3 7 13", HIDDEN),
        Known("system_prompt", "1-4 11 13-14", HIDDEN),
    ),
    "openlit-anthropic": (
        Known("belt_bare tool_absent", "get_weather", NO_TOOLS),
        Known("input_tokens", "5-6", ESTIMATED),
        Known("prompt requested_model", "7-8", ERROR_BARE),
    ),
    "openlit-openai": (
        Known("belt_bare tool_absent", "get_weather", NO_TOOLS),
        Known("call_absent", "8", "a stream that is abandoned leaves no span"),
        Known("prompt", "9-10 16", ERROR_BARE),
    ),
    "otel-genai-langchain": (
        Known("finish_reason", "12", "a finished Responses call is said to have ended with error"),
    ),
    "otel-genai-langchain-nocontent": (
        Known("arguments belt_bare", "broken_tool|get_weather", NO_CONTENT),
        Known("completion", "2 4 7-8 10-12", NO_CONTENT),
        Known("finish_reason", "12", "a finished Responses call is said to have ended with error"),
        Known("prompt", "1-12", NO_CONTENT),
        Known("requests", "1 3 5-6 11", NO_CONTENT),
        Known("result", "get_weather", NO_CONTENT),
        Known("system_prompt", "1-7 9-11", NO_CONTENT),
    ),
    "otel-genai-openai-agents": (
        Known("belt_absent", "transfer_to_weather_agent", NO_SPAN),
        Known("belt_bare cause", "broken_tool|get_weather", NO_SPAN),
        Known("call_absent", "1-10", NO_SPAN),
    ),
    "otel-genai-openai-default-no-optin": (*_ALL_OPENAI, *_NO_BELT),
    "otel-genai-openai-event_only": (*_ALL_OPENAI, *_NO_BELT),
    "otel-genai-openai-nocontent": (*_ALL_OPENAI, *_NO_BELT),
    "otel-genai-openai-span_and_event": _NO_TOOL_RUNS,
    "otel-genai-openai-span_only-grpc": _NO_TOOL_RUNS,
    "otel-google-genai-legacy": (
        Known("arguments belt_bare result", "get_weather", NO_CONTENT),
        Known("call_absent", "1", AUTOMATIC),
        Known("cause", "get_weather", AUTOMATIC),
        Known("completion", "2-3 5", LOGS),
        Known("prompt", "2-5", LOGS),
        Known("system_prompt", "2 5", LOGS),
    ),
    "otel-openai-v2-latest": (
        Known("belt_bare tool_absent", "get_weather", NO_TOOLS),
        Known("call_absent", "13-16", "the Responses API is not instrumented"),
        Known("prompt", "12", IMAGE),
    ),
    "pydantic-ai-logfire": _PYDANTIC_AI,
    "pydantic-ai-native": _PYDANTIC_AI,
    "pydantic-ai-native-v2": _PYDANTIC_AI,
    "pydantic-ai-native-v6": _PYDANTIC_AI,
    "pydantic-ai-v1x-native-default": (
        Known("input_tokens", "1-6 9-12 14-15", "1.9 puts OpenAI tokens only on the agent's span, as a sum"),
        *_PYDANTIC_AI,
    ),
    "strands-native-latest": (Known("answered_model", "1-6 8-9", NOT_SENT),),
    "traceloop-anthropic-v0.40": (
        Known("answered_model completion finish_reason input_tokens requests", "6", "a stream's span has no answer"),
        Known("call_absent", "7-8", "a failed call leaves no span"),
    ),
    "traceloop-js-openai": (
        Known("call_absent", "7", "a failed call leaves no span"),
        Known("input_tokens", "5", ESTIMATED),
        Known("system_prompt", "9", "the instructions of Responses calls are not sent"),
    ),
    "traceloop-langgraph": (Known("answered_model", "6-8", STREAM_MODEL),),
    "traceloop-openai": (Known("prompt", "12", IMAGE),),
    "traceloop-openai-nocontent": (
        *_ALL_OPENAI,
        Known("arguments belt_bare result", "get_weather", NO_CONTENT),
    ),
    "vercel-ai6-proto-lone-surrogate": (
        Known("belt_bare", "broken_tool|get_weather", CUT),
        Known("prompt system_prompt", "1-8 10-11 14", CUT),
        Known("requests", "3 5", CUT),
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


def test_every_captured_case_is_here() -> None:
    assert len(CASES) >= 47
    assert set(KNOWN) <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_runs_equal_the_truth(case: str) -> None:
    expected: dict[str, set[Any]] = {}
    for known in KNOWN.get(case, ()):
        for field in known.fields.split():
            expected.setdefault(field, set()).update(_members(known.of))
    assert failures(case) == expected


@pytest.mark.parametrize("case", CASES)
def test_every_span_is_told_of_once(case: str) -> None:
    for spans in runs(case):
        found = rounds(spans)
        reports = [report.span_id for each in found if each.call for report in each.call.reports]
        actions = [action.span.span_id for each in found for action in each.actions]
        assert len({*reports, *actions}) == len(reports) + len(actions)
        numbers = [each.number for each in found]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


@pytest.mark.parametrize("case", CASES)
def test_rounds_and_actions_cost_what_the_run_costs(case: str) -> None:
    for spans in runs(case):
        told = [each.cost for each in rounds(spans)]
        told += [action.span.cost for each in rounds(spans) for action in each.actions]
        billed = [span.cost for span in spans if span.cost is not None and span.kind != "agent"]
        assert sum(filter(None, told), Decimal(0)) == sum(billed, Decimal(0))


@pytest.mark.parametrize("case", ["pydantic-ai-native", "vercel-ai6-json", "strands-native-latest", "oi-langgraph"])
def test_a_tool_loop_is_two_rounds(case: str) -> None:
    """The first captured run of every agent: asked, ran the tool, answered."""
    first, second = rounds(runs(case)[0])
    (action,) = first.actions
    assert (first.number, second.number, second.actions) == (1, 2, ())
    assert (action.name, action.asked and action.asked.name) == ("get_weather", "get_weather")
    assert action.result == truth(case)["tool_calls"][0]["result"]
    assert second.messages.output[0].text.strip() == truth(case)["llm_calls"][1]["completion_text"]
    prompt = system_prompt(runs(case)[0])
    assert prompt is not None
    assert prompt.characters == len(truth(case)["llm_calls"][0]["system_text"]) == 57
    belt = {tool.name: tool for tool in toolbelt(runs(case)[0])}
    assert (belt["get_weather"].count, belt["broken_tool"].called) == (1, False)


def test_a_handoff_moves_to_the_other_agents_rounds() -> None:
    first, *rest = rounds(runs("oi-openai-agents")[0])
    assert [action.name for action in first.actions] == ["handoff to weather_agent"]
    assert len({each.owner for each in rest}) == 1
    assert first.owner not in {each.owner for each in rest}


def test_the_conversation_comes_from_the_double_that_knows_it() -> None:
    """The client's own span is billed; the library around it knows what was said."""
    (run,) = (spans for spans in runs("pydantic-ai-native") if any("anthropic" in span.scope for span in spans))
    for each in rounds(run):
        assert each.call is not None
        assert [report.price_status for report in each.call.reports] == ["priced", "rolled_up"]
        assert each.call.span.scope == "com.anthropic.sdk.python"
        assert each.messages.output
        assert each.finish_reason


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("length", [9, 60, 250])
def test_cut_content_raises_nothing_and_is_kept_as_text(case: str, length: int) -> None:
    """What an SDK's limit on the length of values leaves of every captured run."""
    for spans in runs(case):
        cut = [
            span._replace(
                input=span.input[:length],
                output=span.output[:length],
                attributes={key: text[:length] for key, text in span.attributes.items()},
                events=tuple((name, {key: text[:length] for key, text in said.items()}) for name, said in span.events),
            )
            for span in spans
        ]
        found = rounds(cut)
        assert [each.call.span.span_id for each in found if each.call] == [
            each.call.span.span_id for each in rounds(spans) if each.call
        ]
        assert all(each.messages.input for each in found if each.call and each.call.span.input)
        system_prompt(cut, found)
        toolbelt(cut, found)


@pytest.mark.parametrize("case", CASES)
def test_what_is_passed_over_unread_says_nothing(case: str) -> None:
    """Requests and system prompts are looked for in the texts before these are parsed: none is missed."""
    for span in (span for spans in runs(case) for span in spans):
        recorded = messages(span)
        assert may_request_tools(span) or not recorded.calls
        assert may_prompt(span) or all(message.role not in ("system", "developer") for message in recorded.input)
