"""Usage objects of providers as libraries pass them on whole, and libraries' own words for their parts.

The counts of one object are the same wherever it is put: `EVERYWHERE` has each provider's, `PLACES` where it may be.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.usage import ON_BEDROCK, SONNET, Sent, chat, openinference, usage

FLASH = "gemini-2.5-flash"
Counts = Mapping[str, Any]


def langfuse(model: str, counts: Counts) -> dict[str, Any]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": model,
        "langfuse.observation.usage_details": json.dumps(counts),
    }


def _call(key: str) -> Callable[[str, Counts], dict[str, Any]]:
    return lambda model, counts: {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": model, key: json.dumps(counts)
    }  # fmt: skip


def _answer(model: str, counts: Counts) -> dict[str, Any]:
    """Of the releases of Logfire that had no usage elsewhere."""
    return {
        "gen_ai.request.model": model,
        "request_data": json.dumps(
            {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": "Hi"}]}
        ),
        "response_data": json.dumps({"message": {"role": "assistant", "content": "Nine"}, "usage": counts}),
    }


PLACES: Mapping[str, tuple[str, Callable[[str, Counts], dict[str, Any]]]] = {
    "Langfuse": ("langfuse-sdk", langfuse),
    "Logfire": ("logfire.openai", _call("gen_ai.usage.raw")),
    "Logfire's answer": ("logfire.anthropic", _answer),
    "gen_ai.usage": ("my.app", _call("gen_ai.usage")),
    "usage": ("my.app", _call("usage")),
}

# What the provider answered, and what it bills.
EVERYWHERE: Mapping[str, tuple[str, Counts, Mapping[str, int]]] = {
    "OpenAI's chat": (
        "gpt-5",
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
         "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 0},
         "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": 0}},
        usage(1000, 100, 600, 0, 40),
    ),
    "OpenAI's responses": (
        "gpt-5",
        {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 600}, "output_tokens": 100,
         "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 1100},
        usage(1000, 100, 600, 0, 40),
    ),
    "Anthropic": (
        SONNET,
        {"input_tokens": 3000, "output_tokens": 100, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500,
         "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 400},
         "service_tier": "standard"},
        {**usage(5500, 100, 2000, 500), "cache_write_1h_tokens": 400},
    ),
    "Anthropic without a cache": (SONNET, {"input_tokens": 3000, "output_tokens": 100}, usage(3000, 100)),
    "Google": (
        FLASH,
        {"prompt_token_count": 100, "candidates_token_count": 50, "thoughts_token_count": 30,
         "cached_content_token_count": 40, "tool_use_prompt_token_count": 20, "total_token_count": 200,
         "prompt_tokens_details": [{"modality": "TEXT", "token_count": 70}, {"modality": "AUDIO", "token_count": 30}]},
        {**usage(120, 80, 40, 0, 30), "input_audio_tokens": 30},
    ),
    "Google without a total": (
        FLASH,
        {"prompt_token_count": 100, "candidates_token_count": 50, "thoughts_token_count": 30,
         "tool_use_prompt_token_count": 20},
        usage(120, 80, 0, 0, 30),
    ),
    "Google in its API's spelling": (
        FLASH,
        {"promptTokenCount": 100, "candidatesTokenCount": 50, "thoughtsTokenCount": 30, "cachedContentTokenCount": 40,
         "totalTokenCount": 180},
        usage(100, 80, 40, 0, 30),
    ),
    "Bedrock's Converse": (
        ON_BEDROCK,
        {"inputTokens": 3000, "outputTokens": 100, "totalTokens": 5600, "cacheReadInputTokens": 2000,
         "cacheWriteInputTokens": 500, "cacheDetails": [{"ttl": "1h", "inputTokens": 500}]},
        {**usage(5500, 100, 2000, 500), "cache_write_1h_tokens": 500},
    ),
    "Cohere": (
        "command-r-08-2024",
        {"billed_units": {"input_tokens": 30, "output_tokens": 10}, "tokens": {"input_tokens": 95, "output_tokens": 12}},
        usage(30, 10),
    ),
    "Mistral": (
        "mistral-large-latest",
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
        usage(1000, 100),
    ),
    "DeepSeek": (
        "deepseek-chat",
        {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_cache_hit_tokens": 600},
        usage(1000, 100, 600),
    ),
    "xAI, reasoning beside the completion and no total": (
        "grok-3-mini",
        {"prompt_tokens": 300, "completion_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 50}},
        usage(300, 110, reasoning=50),
    ),
    "xAI's responses": (
        "grok-4",
        {"input_tokens": 300, "output_tokens": 60, "output_tokens_details": {"reasoning_tokens": 50}},
        usage(300, 60, reasoning=50),
    ),
    "LangChain": (
        SONNET,
        {"input_tokens": 5500, "output_tokens": 100, "total_tokens": 5600, "input_token_details": {
            "cache_read": 2000, "cache_creation": 100, "ephemeral_1h_input_tokens": 400}},
        {**usage(5500, 100, 2000, 400), "cache_write_1h_tokens": 400},
    ),
    "AI SDK 4": ("gpt-5", {"promptTokens": 1000, "completionTokens": 100, "totalTokens": 1100}, usage(1000, 100)),
    "AI SDK 5": (
        "gpt-5",
        {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100, "reasoningTokens": 40, "cachedInputTokens": 600},
        usage(1000, 100, 600, 0, 40),
    ),
    "AI SDK 5 without a cache": (
        "gpt-5",
        {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100},
        usage(1000, 100),
    ),
    "AI SDK 5 on Gemini": (
        FLASH,
        {"inputTokens": 100, "outputTokens": 50, "totalTokens": 180, "reasoningTokens": 30, "cachedInputTokens": 40},
        usage(100, 80, 40, 0, 30),
    ),
    "AI SDK 5 on Anthropic": (
        SONNET,
        {"inputTokens": 3000, "outputTokens": 100, "totalTokens": 3100, "cachedInputTokens": 2000},
        usage(5000, 100, 2000),
    ),
    "AI SDK 5 on Bedrock": (
        ON_BEDROCK,
        {"inputTokens": 3000, "outputTokens": 100, "totalTokens": 5100, "cachedInputTokens": 2000},
        usage(5000, 100, 2000),
    ),
    "AI SDK 5 on a gateway": (
        "anthropic/claude-sonnet-4.5",
        {"inputTokens": 5500, "outputTokens": 100, "totalTokens": 5600, "cachedInputTokens": 2000},
        usage(5500, 100, 2000),
    ),
    "AI SDK 6": (
        SONNET,
        {"inputTokens": 5500, "inputTokenDetails": {"noCacheTokens": 3000, "cacheReadTokens": 2000, "cacheWriteTokens": 500},
         "outputTokens": 100, "outputTokenDetails": {"textTokens": 60, "reasoningTokens": 40}, "totalTokens": 5600,
         "reasoningTokens": 40, "cachedInputTokens": 2000},
        usage(5500, 100, 2000, 500, 40),
    ),
    "a model of AI SDK 6": (
        SONNET,
        {"inputTokens": {"total": 5500, "noCache": 3000, "cacheRead": 2000, "cacheWrite": 500},
         "outputTokens": {"total": 100, "text": 60, "reasoning": 40}},
        usage(5500, 100, 2000, 500, 40),
    ),
}  # fmt: skip


def _everywhere() -> list[Sent]:
    return [
        Sent(f"{name} in {place}", attributes(model, counts), billed, _MARKS.get(name, ()), scope)
        for name, (model, counts, billed) in EVERYWHERE.items()
        for place, (scope, attributes) in PLACES.items()
    ]


# Fewer writes were counted than were kept for an hour.
_MARKS = {"LangChain": ("cache_write_parts",), "AI SDK 5 on Gemini": ("total_includes_reasoning",)}
_PYDANTIC = "pydantic-ai"

OBJECTS = (
    *_everywhere(),
    Sent(
        "Gemini through Langfuse's handler for LangChain",
        langfuse(FLASH, {"input": 0, "output": 0, "total": 180, "input_modality_TEXT": 100, "output_modality_TEXT": 50,
                         "thoughts_token_count": 30, "cached_content_token_count": 40}),
        usage(100, 80, 40, 0, 30), (), "langfuse-sdk",
    ),
    Sent(
        "Gemini through that handler, modalities by number, one of them audio that was cached in part",
        langfuse(FLASH, {"input": 0, "output": 0, "total": 230, "input_modality_1": 100, "input_modality_4": 20,
                         "cached_modality_4": 30, "cached_content_token_count": 30, "output_modality_1": 80}),
        {**usage(150, 80, 30), "input_audio_tokens": 50, "cache_audio_read_tokens": 30}, ("total_includes_cache",),
        "langfuse-sdk",
    ),
    Sent(
        "an image of Gemini through that handler",
        langfuse("gemini-2.5-flash-image", {"input": 0, "output": 0, "total": 1300, "input_modality_TEXT": 10,
                                            "output_modality_IMAGE": 1290}),
        usage(10, 1290), (), "langfuse-sdk",
    ),
    Sent(
        "Gemini through that handler without modalities",
        langfuse(FLASH, {"input": 100, "output": 50, "thoughts_token_count": 30, "cached_content_token_count": 40,
                         "total": 180}),
        usage(100, 80, 40, 0, 30), (), "langfuse-sdk",
    ),
    Sent(
        "audio that Langfuse counts beside the input",
        langfuse("gpt-4o-audio-preview", {"input": 50, "output": 20, "input_audio": 30, "output_audio": 40,
                                          "input_cache_read": 10, "total": 150}),
        {**usage(90, 60, 10), "input_audio_tokens": 30, "output_audio_tokens": 40}, (), "langfuse-sdk",
    ),
    Sent(
        "words that nobody knows beside a total in Langfuse",
        langfuse("gpt-5", {"foo_in": 1000, "bar_out": 100, "total": 1100}),
        usage(1100, 0), ("total_undivided",), "langfuse-sdk",
    ),
    Sent(
        "Claude's cache in the answer beside an input without it: Logfire 4.22",
        {**_answer(SONNET, EVERYWHERE["Anthropic"][1]), "gen_ai.usage.input_tokens": 3000,
         "gen_ai.usage.output_tokens": 100, "gen_ai.provider.name": "anthropic", "gen_ai.operation.name": "chat"},
        {**usage(5500, 100, 2000, 500), "cache_write_1h_tokens": 400}, (), "logfire.anthropic",
    ),
    Sent(
        "the same beside an input that includes it",
        {**_answer(SONNET, EVERYWHERE["Anthropic"][1]), "gen_ai.usage.input_tokens": 5500,
         "gen_ai.usage.output_tokens": 100, "gen_ai.provider.name": "anthropic", "gen_ai.operation.name": "chat"},
        {**usage(5500, 100, 2000, 500), "cache_write_1h_tokens": 400}, (), "logfire.anthropic",
    ),
    Sent(
        "OpenAI's responses in the answer beside OpenTelemetry's words",
        {**_answer("gpt-5", EVERYWHERE["OpenAI's responses"][1]), "gen_ai.usage.input_tokens": 1000,
         "gen_ai.usage.output_tokens": 100, "gen_ai.provider.name": "openai", "gen_ai.operation.name": "chat"},
        usage(1000, 100, 600, 0, 40), (), "logfire.openai",
    ),
    Sent(
        "Claude's own cache beside Langfuse's input, by lifetime",
        langfuse(SONNET, {"input": 3000, "output": 100, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500,
                          "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 400}}),
        {**usage(5500, 100, 2000, 500), "cache_write_1h_tokens": 400}, (), "langfuse-sdk",
    ),
    Sent(
        "Gemini's details of Pydantic AI",
        chat(FLASH, "google-gla", input_tokens=1000, output_tokens=80, details__audio_prompt_tokens=900,
             details__text_prompt_tokens=100, details__cached_content_tokens=400, details__audio_cache_tokens=300,
             details__thoughts_tokens=30, details__text_candidates_tokens=50),
        {**usage(1000, 80, 400, 0, 30), "input_audio_tokens": 900, "cache_audio_read_tokens": 300}, (), _PYDANTIC,
        "2.68.0",
    ),
    Sent(
        "results of Google's tools with Pydantic AI 1.9",
        chat(FLASH, "google-gla", input_tokens=100, output_tokens=80, details__thoughts_tokens=30,
             details__tool_use_prompt_tokens=20),
        usage(120, 80, 0, 0, 30), (), _PYDANTIC, "1.9.1", source="pydantic/pydantic-ai#3466",
    ),
    Sent(
        "results of Google's tools with Pydantic AI 2",
        chat(FLASH, "google-gla", input_tokens=120, output_tokens=80, details__thoughts_tokens=30,
             details__tool_use_prompt_tokens=20),
        usage(120, 80, 0, 0, 30), (), _PYDANTIC, "2.68.0",
    ),
    Sent(
        "results of tools in the total alone",
        chat(FLASH, "gcp.gemini", input_tokens=100, output_tokens=50, reasoning_tokens=30, tool_use_prompt_tokens=20,
             total_tokens=200),
        usage(120, 80, 0, 0, 30), ("total_includes_reasoning",),
    ),
    Sent(
        "details of results of tools in the total alone",
        chat(FLASH, "gcp.gemini", input_tokens=100, output_tokens=80, details__tool_use_prompt_tokens=20,
             total_tokens=200),
        usage(120, 80),
    ),
    Sent(
        "more results of tools than input, without a total",
        chat(FLASH, "who", input_tokens=100, output_tokens=80, tool_use_prompt_tokens=2000),
        usage(2100, 80), ("tool_use_exceeds_input",),
    ),
    Sent(
        "results of Google's tools without a total",
        chat(FLASH, "gcp.gemini", input_tokens=100, output_tokens=80, details__tool_use_prompt_tokens=20),
        usage(120, 80),
    ),
    Sent(
        "results of Google's tools in an input that makes the total",
        chat(FLASH, "gcp.gemini", input_tokens=120, output_tokens=80, tool_use_prompt_tokens=20, total_tokens=200),
        usage(120, 80),
    ),
    Sent(
        "as much reasoning as was cached: Claude's output includes all reasoning",
        openinference(SONNET, "anthropic", prompt=1000, completion=500, total=1800, prompt_details__cache_read=300,
                      completion_details__reasoning=300),
        usage(1300, 500, 300, 0, 300), ("total_includes_cache",),
    ),
    Sent(
        "Google's names in attributes",
        chat(FLASH, "gcp.gemini", prompt_token_count=100, candidates_token_count=50, thoughts_token_count=30,
             tool_use_prompt_token_count=20, total_token_count=200),
        usage(120, 80, 0, 0, 30),
    ),
    Sent(
        "OpenInference on Bedrock's Converse",
        openinference(ON_BEDROCK, "aws", prompt=3000, completion=100, total=5600, prompt_details__cache_read=2000,
                      prompt_details__cache_write=500),
        usage(5500, 100, 2000, 500), (), "openinference.instrumentation.bedrock",
    ),
    Sent(
        "OpenInference on Claude's InvokeModel",
        {**openinference(SONNET, "aws", prompt=3000, completion=100, prompt_details__cache_read=2000,
                         prompt_details__cache_write=500), "llm.system": "anthropic",
         "output.value": json.dumps({"id": "msg_1", "usage": {"input_tokens": 3000, "cache_read_input_tokens": 2000}})},
        usage(5500, 100, 2000, 500), (), "openinference.instrumentation.bedrock",
    ),
    Sent(
        "OpenInference on Claude's InvokeModel, where the sum is made",
        {**openinference(SONNET, "aws", prompt=5500, completion=100, prompt_details__cache_read=2000,
                         prompt_details__cache_write=500), "llm.system": "anthropic",
         "output.value": json.dumps({"id": "msg_1", "usage": {"input_tokens": 3000, "cache_read_input_tokens": 2000}})},
        usage(5500, 100, 2000, 500), (), "openinference.instrumentation.bedrock",
    ),
    Sent(
        "OpenInference on Bedrock in JavaScript",
        openinference(ON_BEDROCK, "aws", prompt=3000, completion=100, total=5600, prompt_details__cache_read=2000,
                      prompt_details__cache_write=500),
        usage(5500, 100, 2000, 500), (), "@arizeai/openinference-instrumentation-bedrock",
    ),
    *(
        Sent(
            f"Agno on {provider}",
            openinference(model, provider, prompt=3000, completion=100, total=3100, prompt_details__cache_read=2000,
                          prompt_details__cache_write=500),
            usage(5500, 100, 2000, 500), (), "openinference.instrumentation.agno",
        )
        for provider, model in (("AwsBedrock", ON_BEDROCK), ("VertexAI", "claude-sonnet-4-5@20250929"),
                                ("AzureFoundry", "claude-sonnet-4-5"))
    ),
    Sent(
        "MLflow on Bedrock",
        {"mlflow.spanType": '"LLM"', "mlflow.message.format": '"bedrock"', "mlflow.llm.model": json.dumps(ON_BEDROCK),
         "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 3000, "output_tokens": 100, "total_tokens": 3100,
                                               "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500}),
         "mlflow.spanOutputs": json.dumps({"usage": {"inputTokens": 3000, "outputTokens": 100, "totalTokens": 5600}})},
        usage(5500, 100, 2000, 500), (), "mlflow.bedrock",
    ),
    Sent(
        "Agno on a gateway",
        openinference("anthropic/claude-sonnet-4.5", "OpenRouter", prompt=5500, completion=100, total=5600,
                      prompt_details__cache_read=2000),
        usage(5500, 100, 2000), (), "openinference.instrumentation.agno",
    ),
    Sent(
        "a sum that says nothing of Claude's cache",
        chat(SONNET, "anthropic", input_tokens=5500, output_tokens=100, cache_read__input_tokens=2000,
             total_tokens=5600),
        usage(5500, 100, 2000),
    ),
    Sent(
        "all of Claude's parts, of which the total is more than input and output",
        chat(SONNET, "anthropic", input_tokens=3000, output_tokens=100, cache_read__input_tokens=2000,
             cache_creation__input_tokens=500, total_tokens=5600),
        usage(5500, 100, 2000, 500), ("total_includes_cache",),
    ),
    Sent(
        "reasoning of xAI without a total, in OpenTelemetry's words: its conventions count it within the output",
        chat("grok-3-mini", "xai", input_tokens=1000, output_tokens=400, details__reasoning_tokens=300),
        usage(1000, 400, reasoning=300),
    ),
)  # fmt: skip
