"""Spans whose counts mean more, or less, than they say: what libraries send of one call, and what was billed for it.

Most are what users reported of other products, with counts of our own; `source` is the report or the code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SONNET = "claude-sonnet-4-5-20250929"
ON_BEDROCK = f"us.anthropic.{SONNET}-v1:0"


@dataclass(frozen=True)
class Sent:
    """One span, its usage (`input`, `output`, and parts by their names in `model.usage.Usage`) and the marks it gets."""

    name: str
    attributes: Mapping[str, Any]
    usage: Mapping[str, int]
    marks: tuple[str, ...] = ()
    scope: str = "my.app"
    version: str = ""
    span_name: str = "chat"
    source: str = ""


def chat(model: str, provider: str, **counts: int) -> dict[str, Any]:
    """OpenTelemetry's attributes; `_` in a count's name is kept, `__` is a dot."""
    usage = {f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in counts.items()}
    return {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model, **usage
    }  # fmt: skip


def openinference(model: str, provider: str, **counts: int) -> dict[str, Any]:
    usage = {f"llm.token_count.{name.replace('__', '.')}": count for name, count in counts.items()}
    return {"openinference.span.kind": "LLM", "llm.model_name": model, "llm.provider": provider, **usage}


def ai_sdk(model: str, provider: str, metadata: Mapping[str, Any], **usage: int) -> dict[str, Any]:
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": model,
        "ai.model.provider": provider,
        "ai.response.providerMetadata": json.dumps(metadata),
        **{f"ai.usage.{name.replace('__', '.')}": count for name, count in usage.items()},
    }


def usage(entire: int, output: int, read: int = 0, write: int = 0, reasoning: int = 0) -> dict[str, int]:
    return {
        "input_tokens": entire,
        "output_tokens": output,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "reasoning_tokens": reasoning,
    }


def adk(counts: Mapping[str, int], **attributes: int) -> dict[str, Any]:
    """A call of Google's Agent Development Kit; `counts` are those in the model's answer."""
    answer = {"content": {"role": "model", "parts": [{"text": "x"}]}, "usage_metadata": counts}
    return {
        "gen_ai.system": "gcp.vertex.agent",
        "gen_ai.operation.name": "call_llm",
        "gen_ai.request.model": "gemini-2.5-flash",
        "gcp.vertex.agent.llm_response": json.dumps(answer),
        **{f"gen_ai.usage.{name.replace('__', '.')}": count for name, count in attributes.items()},
    }


GOOGLE_ADK, BEDROCK = "gcp.vertex.agent", "opentelemetry.instrumentation.bedrock"
STRANDS, OPENLIT = "strands.telemetry.tracer", "openlit.otel.tracing"
_CACHED = usage(5500, 100, 2000, 500)

TOTALS = (
    Sent(
        "tool results that only the total includes",
        openinference("gemini-2.5-flash", "google", prompt=1041, completion=3093, total=381_679,
                      completion_details__reasoning=2191),
        usage(378_586, 3093, reasoning=2191), ("total_exceeds_parts",),
        "openinference.instrumentation.google_genai", source="Arize-ai/openinference#2578",
    ),
    Sent(
        "thoughts that nobody counted",
        openinference("gemini-2.5-flash", "google", prompt=100, completion=20, total=650),
        usage(100, 550), ("total_exceeds_parts",), source="langfuse/langfuse#16321",
    ),
    Sent(
        "thoughts beside the output",
        chat("gemini-2.5-pro", "gcp.vertex_ai", input_tokens=341, output_tokens=15, total_tokens=3703,
             reasoning_tokens=3347),
        usage(341, 3362, reasoning=3347), ("reasoning_exceeds_output",),
        "opentelemetry.instrumentation.langchain", source="langchain-ai/langchain-google#1932",
    ),
    Sent(
        "thoughts added twice",
        openinference("gemini-2.5-flash", "google", prompt=341, completion=6709, total=3703,
                      completion_details__reasoning=3347),
        usage(341, 3362, reasoning=3347), ("reasoning_counted_twice",),
        "openinference.instrumentation.google_adk", source="Arize-ai/openinference#3177",
    ),
    Sent(
        "a total without thoughts that were more than the answer",
        chat("gemini-2.5-flash", "google", input_tokens=100, output_tokens=60, total_tokens=110, reasoning_tokens=50),
        usage(100, 60, reasoning=50), ("total_below_parts",),
    ),
    Sent(
        "Grok's reasoning beside the output",
        chat("grok-3-mini", "x_ai", input_tokens=10_120, output_tokens=3000, total_tokens=14_320,
             reasoning_tokens=1200),
        usage(10_120, 4200, reasoning=1200), ("total_includes_reasoning",), source="UKGovernmentBEIS/inspect_ai#5528",
    ),
    Sent(
        "Grok's reasoning, more than the output",
        chat("grok-3-mini", "x_ai", input_tokens=10_120, output_tokens=1499, total_tokens=14_428,
             reasoning_tokens=2809, cached_input_tokens=128),
        usage(10_120, 4308, 128, reasoning=2809), ("reasoning_exceeds_output",), source="Wei-Shaw/sub2api#5771",
    ),
    Sent(
        "the total for the output",
        adk({"candidates_token_count": 53, "prompt_token_count": 361, "total_token_count": 414},
            input_tokens=361, output_tokens=414),
        usage(361, 53), ("output_is_total",), GOOGLE_ADK, source="langfuse/langfuse#8020",
    ),
    Sent(
        "an answer without the thoughts and tool results that its total includes",
        adk({"candidates_token_count": 53, "prompt_token_count": 361, "thoughts_token_count": 46,
             "tool_use_prompt_token_count": 700, "cached_content_token_count": 30, "total_token_count": 1160},
            input_tokens=361, output_tokens=53),
        usage(1061, 99, 30, reasoning=46), ("total_includes_reasoning", "total_includes_tool_use"), GOOGLE_ADK,
    ),
    Sent(
        "cached tokens in the total alone",
        chat(ON_BEDROCK, "strands-agents", input_tokens=3000, output_tokens=100, cache_read_input_tokens=2000,
             cache_write_input_tokens=500, total_tokens=5600),
        _CACHED, (), STRANDS, source="strands-agents/harness-sdk#4080",
    ),
    Sent(
        "cached tokens of Converse in the total alone",
        openinference(ON_BEDROCK, "aws", prompt=3000, completion=100, total=5600, prompt_details__cache_read=2000,
                      prompt_details__cache_write=500),
        _CACHED, (), "openinference.instrumentation.bedrock",
    ),
    Sent(
        "cache reads in the input and writes beside it",
        chat(ON_BEDROCK, "bedrock", input_tokens=5000, output_tokens=100, cache_read_input_tokens=2000,
             cache_creation_input_tokens=500, total_tokens=5600),
        _CACHED, ("total_includes_cache",), "litellm", source="BerriAI/litellm#15292",
    ),
    Sent(
        "cached tokens counted twice",
        openinference("gpt-4o", "strands-agents", prompt=5500, completion=100, total=3600,
                      prompt_details__cache_read=2000),
        usage(3500, 100, 2000), ("cache_counted_twice",), STRANDS, source="Arize-ai/openinference#3243",
    ),
    Sent(
        "tokens in Claude's total that nobody counted are input: its output includes all thinking",
        openinference(ON_BEDROCK, "aws", prompt=3000, completion=100, total=5600),
        usage(5500, 100), ("total_exceeds_parts",), "@arizeai/openinference-instrumentation-bedrock",
        source="Arize-ai/phoenix#13379",
    ),
    Sent(
        "a total that is merely input and output",
        chat("gpt-4o", "openai", input_tokens=3000, output_tokens=100, cached_tokens=2000, total_tokens=3100),
        usage(3000, 100, 2000),
    ),
    Sent(
        "no total",
        chat("claude-sonnet-4.6", "github", input_tokens=21_884, output_tokens=80, cache_creation_input_tokens=21_881),
        usage(21_884, 80, write=21_881), (), "github.copilot", source="junhoyeo/tokscale#716",
    ),
    Sent(
        "a total of nothing",
        chat("gpt-4o", "openai", input_tokens=3000, output_tokens=100, total_tokens=0),
        usage(3000, 100),
    ),
    Sent(
        "a total alone",
        {**chat("text-embedding-3-small", "openai", total_tokens=67), "gen_ai.operation.name": "embeddings"},
        usage(67, 0),
    ),
    Sent(
        "a total alone, of a call that has an output",
        chat("gpt-4o", "openai", total_tokens=67),
        usage(67, 0), ("total_undivided",),
    ),
    Sent(
        "an input missing beside more reasoning than output",
        chat("grok-3-mini", "x_ai", output_tokens=10, reasoning_tokens=64, total_tokens=174),
        usage(100, 74, reasoning=64), ("reasoning_exceeds_output",),
    ),
    Sent(
        "a total less than its input",
        chat("gpt-4o", "openai", input_tokens=100, total_tokens=60),
        usage(100, 0), ("total_below_parts",),
    ),
)  # fmt: skip

_BEDROCK_CACHE = {"bedrock": {"usage": {"cacheWriteInputTokens": 500}}}
_METADATA = {"gen_ai.usage.cache_read_input_tokens": 2000, "gen_ai.usage.cache_write_input_tokens": 500}

MEANINGS = (
    Sent(
        "Traceloop on Bedrock",
        chat(ON_BEDROCK, "aws.bedrock", input_tokens=3000, output_tokens=100, cache_read__input_tokens=2000,
             cache_creation__input_tokens=500, total_tokens=3100),
        _CACHED, (), BEDROCK, "0.62.3", "bedrock.converse", "traceloop/openllmetry#4449",
    ),
    Sent(
        "Traceloop on Anthropic",
        chat(SONNET, "anthropic", input_tokens=5500, output_tokens=100, cache_read_input_tokens=2000,
             cache_creation_input_tokens=500, total_tokens=5600),
        _CACHED, (), "opentelemetry.instrumentation.anthropic",
    ),
    Sent(
        "OpenTelemetry's conventions on Bedrock",
        chat(ON_BEDROCK, "aws.bedrock", input_tokens=5500, output_tokens=100, cache_read__input_tokens=2000,
             cache_creation__input_tokens=500),
        _CACHED,
    ),
    Sent(
        "AI SDK 5 on Anthropic",
        ai_sdk(SONNET, "anthropic.messages", {"anthropic": {"cacheCreationInputTokens": 500}}, inputTokens=3000,
               outputTokens=100, totalTokens=3100, cachedInputTokens=2000),
        _CACHED, (), "ai", source="vercel/ai#8795",
    ),
    Sent(
        "AI SDK 5 on Vertex AI",
        ai_sdk(SONNET, "vertex.anthropic.messages", {"anthropic": {"cacheCreationInputTokens": 500}}, inputTokens=3000,
               outputTokens=100, totalTokens=3100, cachedInputTokens=2000),
        _CACHED, (), "ai", source="vercel/ai#8795",
    ),
    Sent(
        "AI SDK 5 on Converse",
        ai_sdk(ON_BEDROCK, "amazon-bedrock", _BEDROCK_CACHE, inputTokens=3000, outputTokens=100, totalTokens=3100,
               cachedInputTokens=2000),
        _CACHED, (), "ai", source="DataDog/dd-trace-js#8530",
    ),
    Sent(
        "AI SDK 4 on Converse",
        ai_sdk(ON_BEDROCK, "amazon-bedrock",
               {"bedrock": {"usage": {"cacheReadInputTokens": 2000, "cacheWriteInputTokens": 500}}},
               promptTokens=3000, completionTokens=100),
        _CACHED, (), "ai",
    ),
    Sent(
        "AI SDK 5 behind a gateway",
        ai_sdk(f"anthropic/{SONNET}", "gateway", {"anthropic": {"cacheCreationInputTokens": 0}}, inputTokens=3000,
               outputTokens=100, totalTokens=3100, cachedInputTokens=2000),
        usage(5000, 100, 2000), (), "ai",
    ),
    Sent(
        "AI SDK 6 with a provider of version 5",
        ai_sdk(SONNET, "anthropic.messages", {"anthropic": {"cacheCreationInputTokens": 500}}, inputTokens=3000,
               outputTokens=100, totalTokens=3100, inputTokenDetails__cacheReadTokens=2000),
        _CACHED, (), "ai",
    ),
    Sent(
        "AI SDK 6 on Converse",
        ai_sdk(ON_BEDROCK, "amazon-bedrock", _BEDROCK_CACHE, inputTokens=5500, outputTokens=100, totalTokens=5600,
               inputTokenDetails__cacheReadTokens=2000, inputTokenDetails__noCacheTokens=3000),
        _CACHED, (), "ai", source="vercel/ai#11583",
    ),
    Sent(
        "AI SDK 5 on OpenAI",
        ai_sdk("gpt-5", "openai.responses", {}, inputTokens=3000, outputTokens=100, totalTokens=3100,
               cachedInputTokens=2000, reasoningTokens=64),
        usage(3000, 100, 2000, reasoning=64), (), "ai", source="vercel/ai#8794",
    ),
    Sent(
        "AI SDK 5 on Bedrock's endpoint for OpenAI's API",
        ai_sdk("openai.gpt-oss-120b", "bedrock-mantle.chat", {}, inputTokens=3000, outputTokens=100, totalTokens=3100,
               cachedInputTokens=2000),
        usage(3000, 100, 2000), (), "ai",
    ),
    Sent(
        "AI SDK 5 on DeepSeek",
        ai_sdk("deepseek-chat", "deepseek.chat", {"deepseek": {"promptCacheHitTokens": 2000,
               "promptCacheMissTokens": 1000}}, promptTokens=3000, completionTokens=100),
        usage(3000, 100, 2000), (), "ai",
    ),
    Sent(
        "AI SDK 5 on Gemini, with results of tools in the total",
        ai_sdk("gemini-2.5-flash", "google.generative-ai", {}, inputTokens=300, outputTokens=60, totalTokens=1110,
               reasoningTokens=50),
        usage(1000, 110, reasoning=50), ("total_exceeds_parts",), "ai",
    ),
    Sent(
        "AI SDK 5 on xAI without a total",
        ai_sdk("grok-3-mini", "xai.chat", {}, inputTokens=300, outputTokens=60, reasoningTokens=50),
        usage(300, 110, reasoning=50), (), "ai",
    ),
    Sent(
        "AI SDK 5 on xAI's Responses API",
        ai_sdk("grok-4", "xai.responses", {}, inputTokens=300, outputTokens=60, totalTokens=360, reasoningTokens=50),
        usage(300, 60, reasoning=50), (), "ai",
    ),
    Sent(
        "OpenInference's Strands processor before 0.1.3",
        {**openinference(ON_BEDROCK, "strands-agents", prompt=3000, completion=100, total=3100),
         "metadata": json.dumps(_METADATA)},
        _CACHED, (), STRANDS, source="Arize-ai/openinference#3242",
    ),
    Sent(
        "OpenInference's Strands processor before 0.1.3, a total that includes the cache",
        {**openinference("house-model", "strands-agents", prompt=3000, completion=100, total=5600),
         "metadata": json.dumps(_METADATA)},
        _CACHED, ("total_includes_cache",), "openinference.instrumentation.strands_agents",
    ),
    Sent(
        "OpenInference's Strands processor before 0.1.3 on OpenAI",
        {**openinference("gpt-4o", "strands-agents", prompt=3000, completion=100, total=3100),
         "metadata": json.dumps({"gen_ai.usage.cache_read_input_tokens": 2000})},
        usage(3000, 100, 2000), (), STRANDS,
    ),
    Sent(
        "OpenInference's Strands processor since 0.1.3",
        {**openinference(ON_BEDROCK, "strands-agents", prompt=5000, completion=100, total=5100,
                         prompt_details__cache_read=2000),
         "gen_ai.usage.input_tokens": 3000, "gen_ai.usage.cache_read_input_tokens": 2000,
         "gen_ai.usage.cache_write_input_tokens": 0,
         "metadata": json.dumps({**_METADATA, "gen_ai.usage.cache_write_input_tokens": 0})},
        usage(5000, 100, 2000), (), STRANDS, source="Arize-ai/openinference#3243",
    ),
    Sent(
        "Strands on Anthropic",
        chat(SONNET, "strands-agents", input_tokens=3000, output_tokens=100, cache_read_input_tokens=2000,
             cache_write_input_tokens=500, total_tokens=3100),
        _CACHED, (), STRANDS, source="strands-agents/harness-sdk#2302",
    ),
    Sent(
        "Strands on a gateway",
        chat(f"bedrock/{ON_BEDROCK}", "strands-agents", input_tokens=5500, output_tokens=100,
             cache_read_input_tokens=2000, cache_write_input_tokens=500, total_tokens=5600),
        _CACHED, (), STRANDS,
    ),
    Sent(
        "Agno on Anthropic",
        openinference(SONNET, "Anthropic", prompt=3000, completion=100, total=3100, prompt_details__cache_read=2000,
                      prompt_details__cache_write=500),
        _CACHED, (), "openinference.instrumentation.agno",
    ),
    Sent(
        "OpenInference on Anthropic",
        openinference(SONNET, "anthropic", prompt=5500, completion=100, total=5600, prompt_details__cache_read=2000,
                      prompt_details__cache_write=500),
        _CACHED, (), "openinference.instrumentation.anthropic", source="Arize-ai/openinference#1429",
    ),
    Sent(
        "OpenLIT on Bedrock",
        chat(ON_BEDROCK, "aws.bedrock", input_tokens=3000, output_tokens=100, cache_read__input_tokens=2000,
             cache_creation__input_tokens=500),
        _CACHED, (), OPENLIT,
    ),
    Sent(
        "OpenLIT on Gemini",
        chat("gemini-2.5-flash", "gcp.gemini", input_tokens=300, output_tokens=60, reasoning_tokens=50),
        usage(300, 110, reasoning=50), (), OPENLIT,
    ),
    Sent(
        "Agent Development Kit 1.x",
        {"gen_ai.system": "gcp.vertex.agent", "gen_ai.operation.name": "call_llm",
         "gen_ai.request.model": "gemini-2.5-flash", "gcp.vertex.agent.llm_response": "{}",
         "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 60,
         "gen_ai.usage.experimental.reasoning_tokens": 50},
        usage(300, 110, reasoning=50), (), GOOGLE_ADK,
    ),
    Sent(
        "Agent Development Kit 2.x",
        adk({"candidates_token_count": 60, "prompt_token_count": 300, "thoughts_token_count": 50,
             "total_token_count": 410}, input_tokens=300, output_tokens=110, reasoning__output_tokens=50),
        usage(300, 110, reasoning=50), (), GOOGLE_ADK,
    ),
    Sent(
        "Pydantic AI 1.x on Bedrock",
        chat(ON_BEDROCK, "aws.bedrock", input_tokens=3000, output_tokens=100, details__cache_read_tokens=2000,
             details__cache_write_tokens=500),
        _CACHED, (), "pydantic-ai", "1.39.0", source="pydantic/pydantic-ai#3879",
    ),
    Sent(
        "Pydantic AI 2.x on Bedrock",
        chat(ON_BEDROCK, "aws.bedrock", input_tokens=5500, output_tokens=100, details__cache_read_tokens=2000,
             details__cache_write_tokens=500),
        _CACHED, (), "pydantic-ai", "2.68.0",
    ),
    Sent(
        "MLflow 3.10 on Anthropic",
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.message.format": '"anthropic"',
         "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 3000, "output_tokens": 100, "total_tokens": 3100,
                                               "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500}),
         "mlflow.spanOutputs": json.dumps({"model": SONNET, "usage": {"input_tokens": 3000, "output_tokens": 100}})},
        _CACHED, (), "mlflow.tracing.provider", source="mlflow/mlflow#22444",
    ),
    Sent(
        "MLflow 3.12 on Anthropic",
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.message.format": '"anthropic"',
         "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 5500, "output_tokens": 100, "total_tokens": 5600,
                                               "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500}),
         "mlflow.spanOutputs": json.dumps({"model": SONNET, "usage": {"input_tokens": 3000, "output_tokens": 100}})},
        _CACHED, (), "mlflow.tracing.provider", source="mlflow/mlflow#22516",
    ),
    Sent(
        "Logfire on an endpoint for OpenAI's API",
        {**chat("grok-3-mini", "x_ai", input_tokens=300, output_tokens=60),
         "gen_ai.usage.raw": json.dumps({"prompt_tokens": 300, "completion_tokens": 60, "total_tokens": 410,
                                         "completion_tokens_details": {"reasoning_tokens": 50}})},
        usage(300, 110, reasoning=50), ("total_includes_reasoning",), "logfire.openai",
    ),
)  # fmt: skip
