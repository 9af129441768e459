"""Every unit of the price library can be reached from attributes, and what stands in usage objects is billed."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_units import unit_data

from collector.config import PricingConfig
from collector.enrich.conventions.kinds import NO_CALL_KEYS, SHAPE_KEYS
from collector.enrich.conventions.reader import Conventions, load
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.pricing import Priced, price
from collector.enrich.prices.rates import BUCKETS, quantities, tariff
from collector.model.facts import Facts, Kind, SpanView
from collector.model.money import usd
from collector.model.usage import Usage
from collector.schema import schema_root

CONVENTIONS: Conventions = load(schema_root())
CATALOGUE = Catalogue.bundled(PricingConfig())
AT = 1_790_000_000_000_000_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}


def facts(attributes: dict[str, Any], scope: str = "", name: str = "call", **span: Any) -> Facts:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    return CONVENTIONS.normalise(SpanView(name=name, scope_name=scope, attributes=texts, **span))


def usage(attributes: dict[str, Any], scope: str = "") -> Usage:
    found = facts(attributes, scope).usage
    assert found
    return found


def priced(attributes: dict[str, Any], scope: str = "") -> Priced:
    found = facts(attributes, scope)
    return price(
        CATALOGUE,
        provider=found.provider_id,
        request_model=found.request_model,
        response_model=found.response_model,
        usage=found.usage,
        at=AT,
    )


def cost(attributes: dict[str, Any], scope: str = "") -> Decimal:
    found = priced(attributes, scope).cost
    assert found is not None
    return usd(found)


# --- units


@pytest.mark.parametrize("unit", unit_data)
def test_a_price_of_any_unit_is_paid_for_our_own_attribute_of_it(unit: str) -> None:
    rates = tariff({unit_data[unit]["price_key"]: Decimal(unit_data[unit]["per"])}, "test").rates(0)
    key = f"spanmeter.usage.{unit}"
    sent = {**CHAT, "spanmeter.usage.input_tokens": "7", "spanmeter.usage.output_tokens": "7", key: "7"}
    amounts = quantities(usage(sent), 0)
    assert sum(amounts[index] * rate for index, _, rate in rates.lines) == 7 * 10**12 * rates.denominator


@pytest.mark.parametrize(
    "unit",
    [
        unit
        for unit, entry in unit_data.items()
        if entry["dimensions"].get("modality") in {"image", "video"} or entry["dimensions"]["family"] == "tool_calls"
    ],
)
def test_units_have_a_name_in_the_words_of_opentelemetry(unit: str) -> None:
    if unit_data[unit]["dimensions"].get("cache_ttl") == "5m":
        return  # writes that are not known to be for an hour
    found = usage(
        {**CHAT, "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 20, f"gen_ai.usage.{unit}": 7}
    )
    assert found.details[unit] == 7


def test_a_part_of_two_others_is_taken_from_both() -> None:
    found = Usage(
        input_tokens=100,
        cache_read_tokens=50,
        details={"input_image_tokens": 60, "cache_image_read_tokens": 30, "input_tool_tokens": 5},
    )
    amounts = dict(zip(BUCKETS, quantities(found, 0), strict=True))
    assert {name: amounts[name] for name in ("input", "cache_read", "cache_image_read", "input_image", "input_tool")} == {
        "input": 15, "cache_read": 20, "cache_image_read": 30, "input_image": 30, "input_tool": 5,
    }  # fmt: skip


def test_parts_without_their_total_make_it() -> None:
    found = usage({**CHAT, "gen_ai.usage.input_image_tokens": 258, "gen_ai.usage.output_tokens": 5})
    assert (found.input_tokens, found.output_tokens) == (258, 5)
    found = usage({**CHAT, "gen_ai.usage.input_tokens": 500, "gen_ai.usage.cache_image_read_tokens": 100})
    assert (found.cache_read_tokens, found.details) == (
        100,
        {"cache_image_read_tokens": 100, "input_image_tokens": 100},
    )


def test_more_images_than_output_are_beside_it_and_that_is_marked() -> None:
    found = usage({**CHAT, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.output_image_tokens": 1120})
    assert found.output_tokens == 1125
    assert found.details["inconsistent.parts_exceed_total"] == 1


def test_cached_audio_alone_is_audio_that_was_read_from_the_cache() -> None:
    found = usage({**CHAT, "gen_ai.usage.input_tokens": 100, "gen_ai.usage.input_cached_audio_tokens": 40})
    assert (found.cache_read_tokens, found.input_audio_tokens, found.cache_audio_read_tokens) == (40, 40, 40)
    assert not found.details


# --- usage objects of providers

GOOGLE = {
    "promptTokenCount": 300,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 42}, {"modality": "IMAGE", "tokenCount": 258}],
    "candidatesTokensDetails": [{"tokenCount": 1120, "modality": "IMAGE"}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 8}],
}
SNAKE = {
    "prompt_tokens_details": [{"modality": "TEXT", "token_count": 42}, {"modality": "IMAGE", "token_count": 258}],
    "candidates_tokens_details": [{"modality": "IMAGE", "token_count": 1120}],
}
OPENAI = {
    "prompt_tokens_details": {"image_tokens": 258, "cached_tokens_details": {"audio_tokens": 3}},
    "completion_tokens_details": {"image_tokens": 1120},
}
TOTALS = {**CHAT, "gen_ai.usage.input_tokens": 300, "gen_ai.usage.output_tokens": 1130}


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({**TOTALS, "gen_ai.usage.raw": OPENAI}, "logfire.openai"),
        ({**TOTALS, "gen_ai.usage.raw": SNAKE}, "logfire.google_genai"),
        ({**TOTALS, "metadata.usage_object": str(OPENAI)}, "litellm"),
        ({**TOTALS, "ai.operationId": "ai.generateText.doGenerate",
          "ai.response.providerMetadata": {"google": {"usageMetadata": GOOGLE}}}, "ai"),
        ({**TOTALS, "gcp.vertex.agent.llm_response": {"usage_metadata": SNAKE}}, "gcp.vertex.agent"),
        ({**TOTALS, "openinference.span.kind": "LLM", "output.value": {"usage_metadata": SNAKE}},
         "openinference.instrumentation.google_genai"),
        ({"langfuse.observation.type": "generation", "langfuse.observation.usage_details":
          {"prompt_tokens": 300, "completion_tokens": 1130, **OPENAI}}, "langfuse-sdk"),
    ],
)  # fmt: skip
def test_images_of_usage_objects_are_counted(attributes: dict[str, Any], scope: str) -> None:
    found = usage(attributes, scope)
    assert (found.input_tokens, found.output_tokens) == (300, 1130)
    assert (found.details["input_image_tokens"], found.details["output_image_tokens"]) == (258, 1120)


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        ({"anthropic.usage.server_tool_use.web_search_requests": 2}, "com.anthropic.sdk"),
        ({"gen_ai.usage.raw": {"server_tool_use": {"web_search_requests": 2}}}, "logfire.anthropic"),
        ({"metadata.usage_object": "{'server_tool_use': {'web_search_requests': 2}}"}, "litellm"),
        ({"metadata.usage_object": "{'prompt_tokens_details': {'web_search_requests': 2}}"}, "litellm"),
        ({"gen_ai.usage.server_tool_use.web_search_requests": 2}, "my.app"),
        ({"ai.operationId": "ai.generateText.doGenerate", "ai.response.providerMetadata":
          {"anthropic": {"usage": {"server_tool_use": {"web_search_requests": 2}}}}}, "ai"),
    ],
)  # fmt: skip
def test_searches_are_billed(attributes: dict[str, Any], scope: str) -> None:
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    assert priced({**call, **attributes}, scope).details["web_searches"] == 2 * 10**10


def test_image_tokens_of_litellm_are_billed_as_images() -> None:
    sent = {
        "completion_tokens": 1345, "prompt_tokens": 10, "total_tokens": 1355,
        "completion_tokens_details": {"reasoning_tokens": 225, "text_tokens": 0, "image_tokens": 1120},
        "prompt_tokens_details": {"text_tokens": 10},
    }  # fmt: skip
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gemini",
        "gen_ai.request.model": "gemini-3-pro-image-preview",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 1345,
        "metadata.usage_object": str(sent),
    }
    assert cost(call, "litellm") == Decimal(10 * 2 + 225 * 12 + 1120 * 120) / 10**6


# --- calls whose tokens are of one modality


@pytest.mark.parametrize(
    ("operation", "more", "unit"),
    [
        ("image_generation", {}, "output_image_tokens"),
        ("image_edit", {}, "output_image_tokens"),
        ("aimage_generation", {}, "output_image_tokens"),
        ("generate_content", {"gen_ai.output.type": "image"}, "output_image_tokens"),
        ("video_generation", {}, "output_video_tokens"),
    ],
)
def test_undivided_output_is_of_the_operation_s_modality(operation: str, more: dict[str, str], unit: str) -> None:
    call = {
        "gen_ai.operation.name": operation,
        "gen_ai.request.model": "gpt-image-1.5",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 1000,
        **more,
    }
    assert usage(call).details == {unit: 1000}
    divided = {**call, "gen_ai.usage.output_image_tokens": 900}
    assert usage(divided).details == {"output_image_tokens": 900}


def test_an_image_costs_what_images_cost() -> None:
    call = {
        "gen_ai.operation.name": "image_generation",
        "gen_ai.request.model": "gpt-image-1.5",
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 1000,
    }
    assert cost(call) == Decimal(10 * 5 + 1000 * 32) / 10**6


def test_speech_and_transcriptions_are_audio() -> None:
    call = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1000}
    assert usage({**call, "gen_ai.operation.name": "speech"}).output_audio_tokens == 1000
    assert usage({**call, "gen_ai.operation.name": "transcription"}).input_audio_tokens == 10
    assert not usage({**call, "gen_ai.operation.name": "chat"}).details


# --- words that say what a span is also say what it holds

# What a span of this key alone must say, by the key that made it what it is.
IMPLIED: dict[str, Callable[[Facts], Any]] = {
    "gen_ai.request.model": lambda said: said.request_model,
    "gen_ai.response.model": lambda said: said.response_model,
    "llm.model_name": lambda said: said.response_model,
    "gen_ai.usage.input_tokens": lambda said: said.usage and str(said.usage.input_tokens),
    "gen_ai.usage.prompt_tokens": lambda said: said.usage and str(said.usage.input_tokens),
    "gen_ai.usage.output_tokens": lambda said: said.usage and str(said.usage.output_tokens),
    "llm.token_count.prompt": lambda said: said.usage and str(said.usage.input_tokens),
    "gen_ai.evaluation.name": lambda said: said.kind is Kind.EVAL and "7",
    "gen_ai.tool.name": lambda said: said.tool_name,
    "tool.name": lambda said: said.tool_name,
    "gen_ai.tool.call.arguments": lambda said: said.input_key == "gen_ai.tool.call.arguments" and "7",
}


@pytest.mark.parametrize("key", sorted(SHAPE_KEYS - NO_CALL_KEYS))
def test_a_key_that_makes_a_span_a_call_or_a_tool_also_says_what_it_names(key: str) -> None:
    assert IMPLIED[key](facts({key: "7"})) == "7"


def test_models_that_make_spans_of_a_family_are_its_models() -> None:
    for family in CONVENTIONS.families:
        for key in family.recognise.keys:
            if "model" not in key.rsplit(".", 1)[-1] or key == "model_request_parameters":
                continue
            said = facts({key: "7"})
            assert "7" in (said.request_model, said.response_model), (family.family, key)


def test_a_reranker_has_a_model() -> None:
    said = facts(
        {"openinference.span.kind": "RERANKER", "reranker.model_name": "rerank-v3.5"},
        "openinference.instrumentation.cohere",
    )
    assert (said.kind, said.operation, said.response_model) == (Kind.LLM, "rerank", "rerank-v3.5")


@pytest.mark.parametrize(
    "key",
    ["gen_ai.usage.input_cached_tokens", "gen_ai.usage.input_tokens_details.cached_tokens", "cached_input_tokens"],
)
def test_cached_tokens_have_many_names(key: str) -> None:
    found = usage({**CHAT, "gen_ai.usage.input_tokens": 100, key: 60})
    assert (found.input_tokens, found.cache_read_tokens) == (100, 60)


def test_words_without_a_prefix_count_on_model_calls_only() -> None:
    bare = {"input_tokens": "12", "output_tokens": "3"}
    assert facts({**CHAT, **bare}).usage == Usage(12, 3)
    assert facts({"gen_ai.operation.name": "execute_tool", **bare}).usage is None
    assert facts(bare).usage is None


# --- Claude Code

CLAUDE = "com.anthropic.claude_code.tracing"
BARE = {
    "span.type": "llm_request",
    "gen_ai.request.model": "claude-sonnet-4-5-20250929",
    "gen_ai.system": "anthropic",
    "input_tokens": "12",
    "output_tokens": "350",
    "cache_read_tokens": "21000",
    "cache_creation_tokens": "1800",
}
BOTH = {
    **BARE,
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": "22812",
    "gen_ai.usage.output_tokens": "350",
    "gen_ai.usage.cache_read.input_tokens": "21000",
    "gen_ai.usage.cache_write.input_tokens": "1800",
}


@pytest.mark.parametrize("call", [BARE, BOTH, {key: text for key, text in BOTH.items() if key != "input_tokens"}])
def test_both_shapes_of_claude_code_cost_the_same(call: dict[str, str]) -> None:
    assert usage(call, CLAUDE) == Usage(22812, 350, 21000, 1800)
    assert cost(call, CLAUDE) == Decimal("0.018336")


@pytest.mark.parametrize(
    ("span_type", "kind", "operation"),
    [
        ("interaction", Kind.AGENT, "invoke_agent"),
        ("llm_request", Kind.LLM, "chat"),
        ("tool", Kind.TOOL, "execute_tool"),
        ("tool.execution", Kind.INTERNAL, ""),
        ("tool.blocked_on_user", Kind.INTERNAL, ""),
        ("anything_else", Kind.INTERNAL, ""),
    ],
)
def test_kinds_of_claude_code(span_type: str, kind: Kind, operation: str) -> None:
    for attributes in ({"span.type": span_type}, {}):
        said = facts({**attributes, "tool_name": "Read"}, CLAUDE, f"claude_code.{span_type}")
        assert (said.kind, said.operation) == (kind, operation)
        assert said.tool_name == ("Read" if kind is Kind.TOOL else "")


def test_a_sub_agent_of_claude_code_belongs_to_the_session() -> None:
    said = facts({**BARE, "session.id": "s-1", "gen_ai.conversation.id": "agent-7"}, CLAUDE)
    assert said.conversation_id == "s-1"


def test_a_deployment_on_azure_is_priced_by_the_model_that_answered() -> None:
    sent = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.llm.model": '"gpt4-prod"',
        "mlflow.llm.provider": '"azure"',
        "mlflow.chat.tokenUsage": {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100},
        "mlflow.spanInputs": {"model": "gpt4-prod", "messages": []},
        "mlflow.spanOutputs": {"id": "c1", "model": "gpt-4o-2024-08-06", "choices": []},
    }
    assert facts(sent, "mlflow.openai").response_model == "gpt-4o-2024-08-06"
    assert cost(sent, "mlflow.openai") == Decimal("0.0035")
