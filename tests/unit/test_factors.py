"""What changes a price: tiers, speeds and regions, from the span to the cost; each figure is the provider's page's."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml

from collector.config import PricingConfig
from collector.enrich.prices import pricelist
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.factors import factors, region_factors, tier_word
from collector.errors import ConfigError
from tests.support.priced import CATALOGUE, SECOND, START_NS, Value, chat, row

DAY = 86_400 * SECOND


def usd(per_input: str, per_output: str, factor: str = "1") -> Decimal:
    """Of 1000 tokens in and 100 out, at USD per million."""
    return (1000 * Decimal(per_input) + 100 * Decimal(per_output)) * Decimal(factor) / 10**6


# --- the data


def test_every_factor_has_its_source_and_concerns_a_listed_model() -> None:
    entries = list(CATALOGUE.entries())
    for factor in factors().factors:
        assert factor.source.startswith("https://")
        assert factor.checked <= date(2026, 11, 28)
        assert any(factor in entry.factors for entry in entries), factor.name
        assert bool(factor.regions) != bool(factor.tiers), factor.name
    assert len({factor.name for factor in factors().factors}) == len(factors().factors)


@pytest.mark.parametrize(
    ("sent", "word"),
    [("", ""), ("default", ""), ("AUTO", ""), ("ON_DEMAND", ""), ("service_tier_flex", "flex"), ("Priority", "priority"),
     ("ON_DEMAND_PRIORITY", "priority"), ("batch", "batch"), ("gold", "gold")],
)  # fmt: skip
def test_one_word_for_a_tier(sent: str, word: str) -> None:
    assert tier_word(sent) == word


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ("eu.api.openai.com", "openai-region"),
        ("https://US.api.openai.com/v1", "openai-region"),
        ("jp.api.openai.com:443", "openai-region"),
        ("api.openai.com", ""),
        ("eu.api.openai.com.evil.example", ""),
        ("us", "anthropic-us"),
        ("global", ""),
        ("europe-west1-aiplatform.googleapis.com", "claude-vertex-region gemini-vertex-region"),
        ("aiplatform.eu.rep.googleapis.com", "claude-vertex-region gemini-vertex-region"),
        ("aiplatform.googleapis.com", ""),
        ("x" * 5000, ""),
    ],
)
def test_regions_are_recognised_by_host_geography_or_location(sent: str, names: str) -> None:
    assert region_factors(sent) == names


# --- regions


@pytest.mark.parametrize(
    ("model", "provider", "place", "cost"),
    [
        ("gpt-5.4", "openai", "eu.api.openai.com", usd("2.5", "15", "1.1")),
        ("gpt-5.4-2026-03-05", "openai", "us.api.openai.com", usd("2.5", "15", "1.1")),
        ("gpt-5.4", "openai", "api.openai.com", usd("2.5", "15")),
        ("gpt-5", "openai", "eu.api.openai.com", usd("1.25", "10")),
        ("gpt-4o", "openai", "eu.api.openai.com", usd("2.5", "10")),
        ("claude-sonnet-4-5@20250929", "gcp.vertex_ai", "us-east5-aiplatform.googleapis.com", usd("3", "15", "1.1")),
        ("claude-sonnet-4-5@20250929", "gcp.vertex_ai", "aiplatform.googleapis.com", usd("3", "15")),
        ("claude-3-5-haiku@20241022", "gcp.vertex_ai", "us-east5-aiplatform.googleapis.com", usd("0.8", "4")),
        ("gemini-3.8-flash", "gcp.vertex_ai", "aiplatform.eu.rep.googleapis.com", usd("0.75", "3.75", "1.1")),
        ("gemini-2.5-flash", "gcp.vertex_ai", "europe-west1-aiplatform.googleapis.com", usd("0.3", "2.5")),
    ],
)
def test_a_region_costs_more_for_the_models_its_provider_says(
    model: str, provider: str, place: str, cost: Decimal
) -> None:
    assert row(chat(model, provider, **{"server.address": place}))["Cost"] == cost


def test_an_address_or_the_whole_url_says_which_host_served_a_call() -> None:
    url = "https://eu.api.openai.com/v1/chat/completions"
    assert row(chat("gpt-5.4", **{"url.full": url}))["Cost"] == usd("2.5", "15", "1.1")
    other = {"server.address": "api.openai.com", "url.full": url}
    assert row(chat("gpt-5.4", **other))["Cost"] == usd("2.5", "15")


def test_us_only_inference_costs_a_tenth_more_since_opus_4_6() -> None:
    def anthropic(model: str, geo: str) -> Decimal:
        meta = {"anthropic": {"usage": {"service_tier": "standard", "inference_geo": geo}}}
        return row(ai_sdk(model, "anthropic.messages", meta))["Cost"]  # type: ignore[no-any-return]

    assert anthropic("claude-opus-4-6", "us") == usd("5", "25", "1.1")
    assert anthropic("claude-opus-4-6", "global") == usd("5", "25")
    assert anthropic("claude-opus-4-5", "us") == usd("5", "25")


def test_regions_of_bedrock_are_in_the_models_name() -> None:
    arn = "arn:aws:bedrock:eu-west-1:111122223333:inference-profile/"
    for name, factor in (("eu", "1.1"), ("ca", "1.1"), ("global", "1")):
        for prefix in ("", arn, f"bedrock/{arn}"):
            found = row(chat(f"{prefix}{name}.anthropic.claude-sonnet-4-6", "aws.bedrock"))
            assert found["Cost"] == usd("3", "15", factor), (prefix, name)


# --- tiers and speeds


def ai_sdk(model: str, provider: str, meta: dict[str, Any]) -> dict[str, Value]:
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": model,
        "ai.model.provider": provider,
        "ai.response.providerMetadata": json.dumps(meta),
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 100,
        "ai.usage.inputTokenDetails.noCacheTokens": 1000,
    }


def langfuse(usage: dict[str, int], **parameters: Any) -> dict[str, Value]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "gpt-5",
        "langfuse.observation.usage_details": json.dumps(usage),
        "langfuse.observation.model.parameters": json.dumps(parameters),
    }


PLAIN = {"input": 1000, "output": 100}
PRIORITY, FLEX, LISTED = usd("2.5", "20"), usd("0.625", "5"), usd("1.25", "10")


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        (chat("gpt-5", **{"openai.response.service_tier": "priority"}), PRIORITY),
        (chat("gpt-5", **{"gen_ai.openai.response.service_tier": "flex"}), FLEX),
        (chat("gpt-5", **{"openai.request.service_tier": "flex"}), FLEX),
        (chat("gpt-5", **{"openai.request.service_tier": "auto"}), LISTED),
        (chat("gpt-5", **{"openai.response.service_tier": "batch"}), FLEX),
        # The answer's tier is the one that is billed.
        (chat("gpt-5", **{"openai.request.service_tier": "priority", "openai.response.service_tier": "default"}), LISTED),
        (langfuse(PLAIN, service_tier="priority", temperature=1), PRIORITY),
        (langfuse(PLAIN, temperature=1), LISTED),
        (
            langfuse(PLAIN, service_tier="priority") | {"openai.response.service_tier": "default"},
            LISTED,
        ),
        (ai_sdk("gpt-5", "openai.responses", {"openai": {"serviceTier": "flex"}}), FLEX),
        (
            {
                "mlflow.spanType": '"CHAT_MODEL"',
                "mlflow.llm.provider": '"openai"',
                "mlflow.chat.tokenUsage": json.dumps({"input_tokens": 1000, "output_tokens": 100}),
                "mlflow.spanInputs": json.dumps({"model": "gpt-5", "service_tier": "priority"}),
                "mlflow.spanOutputs": json.dumps({"model": "gpt-5-2025-08-07"}),
            },
            PRIORITY,
        ),
        (
            {
                "openinference.span.kind": "LLM",
                "llm.model_name": "gpt-5",
                "llm.invocation_parameters": json.dumps({"service_tier": "priority"}),
                "llm.token_count.prompt": 1000,
                "llm.token_count.completion": 100,
            },
            PRIORITY,
        ),
    ],
)  # fmt: skip
def test_every_convention_may_carry_a_tier(attributes: dict[str, Value], cost: Decimal) -> None:
    assert row(attributes)["Cost"] == cost


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        # 1000 in, of which 400 cached; 100 out, of which 60 reasoning: what LangChain's callback makes of each tier.
        (
            {"input": 1000, "input_priority": 600, "input_priority_cache_read": 400, "output": 100, "output_priority": 40,
             "output_priority_reasoning": 60},
            (600 * Decimal("2.5") + 400 * Decimal("0.25") + 100 * 20) / 10**6,
        ),
        (
            {"input": 0, "input_flex": 600, "input_flex_cache_read": 400, "output": 0, "output_flex": 40,
             "output_flex_reasoning": 60},
            (600 * Decimal("0.625") + 400 * Decimal("0.0625") + 100 * 5) / 10**6,
        ),
    ],
)  # fmt: skip
def test_langchains_keys_state_the_tier_in_langfuse(usage: dict[str, int], cost: Decimal) -> None:
    found = row(langfuse(usage))
    assert (found["InputTokens"], found["OutputTokens"]) == (1000, 100)
    assert (found["CacheReadTokens"], found["ReasoningTokens"]) == (400, 60)
    assert found["Cost"] == cost


def test_langchains_keys_state_the_tier_in_langsmith() -> None:
    details = {"input_token_details": {"flex_cache_read": 400, "flex": 600}, "output_token_details": {"flex": 100}}
    found = row(
        chat("gpt-5", **{"langsmith.span.kind": "llm", "langsmith.metadata.usage_metadata": json.dumps(details)}),
        scope="langsmith",
    )
    assert found["CacheReadTokens"] == 400
    assert found["Cost"] == (600 * Decimal("0.625") + 400 * Decimal("0.0625") + 100 * 5) / 10**6


def test_a_speed_is_billed_whatever_the_tier() -> None:
    meta = {"anthropic": {"usage": {"service_tier": "standard", "speed": "fast"}}}
    assert row(ai_sdk("claude-opus-4-8", "anthropic.messages", meta))["Cost"] == usd("10", "50")
    meta["anthropic"]["usage"]["speed"] = "standard"
    assert row(ai_sdk("claude-opus-4-8", "anthropic.messages", meta))["Cost"] == usd("5", "25")


@pytest.mark.parametrize(
    ("provider", "model", "tier", "cost", "ref"),
    [
        ("gcp.gemini", "gemini-3.8-flash", "priority", usd("0.75", "3.75", "1.8"), "*1.8(gemini-priority)"),
        ("gcp.gemini", "gemini-2.5-flash", "flex", usd("0.3", "2.5", "0.5"), "*0.5(gemini-flex)"),
        ("gcp.gemini", "gemini-2.5-flash", "ON_DEMAND", usd("0.3", "2.5"), "gemini-2.5-flash"),
        ("groq", "llama-3.1-8b-instant", "flex", usd("0.05", "0.08"), "llama-3.1-8b-instant"),
        # Nobody's page has a figure: the listed price, and a mark.
        ("gcp.gemini", "gemini-2.5-flash", "priority", usd("0.3", "2.5"), "+priority?"),
        ("aws.bedrock", "amazon.nova-pro-v1:0", "priority", usd("0.8", "3.2"), "+priority?"),
        ("azure.ai.openai", "gpt-5", "priority", LISTED, "+priority?"),
        ("anthropic", "claude-opus-4-8", "priority", usd("5", "25"), "+priority?"),
        ("openai", "gpt-5", "scale", LISTED, "+scale?"),
        ("openai", "gpt-5", "whatever", LISTED, "+other?"),
    ],
)
def test_a_tier_without_a_figure_leaves_the_price_and_a_mark(
    provider: str, model: str, tier: str, cost: Decimal, ref: str
) -> None:
    found = row(chat(model, provider, **{"gen_ai.response.service_tier": tier}))
    assert found["Cost"] == cost
    assert found["PriceRef"].endswith(ref)


def test_a_tier_is_unknown_before_its_price_is() -> None:
    early = row(chat("gpt-5", **{"openai.response.service_tier": "priority"}), start_ns=START_NS - 100 * DAY)
    assert (early["Cost"], early["PriceRef"][-10:]) == (LISTED, "+priority?")


def test_a_factor_holds_from_its_day() -> None:
    since = date(2026, 3, 5)
    before = (since - date(1970, 1, 1)).days * DAY - 1
    call = chat("gpt-5.4", **{"server.address": "eu.api.openai.com"})
    assert row(call, start_ns=before)["Cost"] == usd("2.5", "15")
    assert row(call, start_ns=before + 1)["Cost"] == usd("2.5", "15", "1.1")


def test_factors_multiply_tiers_and_spare_what_is_no_token() -> None:
    call = chat("gpt-5.4", **{"server.address": "eu.api.openai.com", "openai.response.service_tier": "priority"})
    found = row(call | {"gen_ai.usage.web_search_requests": 3})
    assert dict(found["CostDetails"]) == {
        "input": Decimal("0.0055"),
        "output": Decimal("0.0033"),
        "web_searches": Decimal("0.03"),
    }
    assert found["PriceRef"].endswith(":openai/gpt-5.4@2026-10-12+priority*1.1(openai-region)")


# --- overrides


def test_an_override_may_multiply_the_listed_price() -> None:
    contract = {"overrides": [{"name": "contract", "model": "gpt-5", "match": "prefix", "factor": "0.85"}]}
    found = row(chat("gpt-5.4", **{"server.address": "eu.api.openai.com"}), pricing=contract)
    assert found["Cost"] == usd("2.5", "15", "0.935")
    assert found["PriceRef"].endswith("*1.1(openai-region)*0.85(override:contract)")
    assert row(chat("gpt-4o"), pricing=contract)["Cost"] == usd("2.5", "10")
    assert row(chat("gpt-5-of-nobody"), pricing=contract)["PriceStatus"] == "unknown_model"


def test_a_factor_of_ones_own_multiplies_searches_too() -> None:
    contract = {"overrides": [{"model": "gpt-5", "factor": "0.5", "service_tier": "default"}]}
    call = chat("gpt-5") | {"gen_ai.usage.web_search_requests": 2}
    assert row(call, pricing=contract)["Cost"] == LISTED / 2 + Decimal("0.01")
    flexible = call | {"openai.response.service_tier": "flex"}
    assert row(flexible, pricing=contract)["Cost"] == FLEX + Decimal("0.02")


def test_a_factor_stands_alone() -> None:
    with pytest.raises(ValueError, match="set it without prices"):
        PricingConfig.model_validate({"overrides": [{"model": "x", "factor": 2, "input": 1, "output": 1}]})


def test_prices_show_has_the_factors_with_their_sources() -> None:
    text = "\n".join(pricelist.show(CATALOGUE, "openai", "gpt-5.4", START_NS))
    assert (
        "factors:\n  1.1 openai-region: hosts of data residency such as eu.api.openai.com, us.api.openai.com among them"
        " since 2026-03-05 (https://developers.openai.com/api/docs/guides/data-residency)\nchanges: 2026-10-12"
    ) in text
    assert "factors:" not in "\n".join(pricelist.show(CATALOGUE, "openai", "gpt-5", START_NS))
    early = "\n".join(pricelist.show(CATALOGUE, "openai", "gpt-5", START_NS - 100 * DAY))
    assert "?" not in early


def test_a_broken_table_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "prices").mkdir()
    table = {"tiers": {}, "factors": [{"name": "x", "factor": 1.1, "regions": ["("]}]}
    (tmp_path / "prices" / "factors.yaml").write_text(yaml.safe_dump(table))
    monkeypatch.setattr("collector.enrich.prices.factors.schema_root", lambda: tmp_path)
    factors.cache_clear()
    try:
        with pytest.raises(ConfigError, match="cannot be used"):
            factors()
    finally:
        factors.cache_clear()


def test_the_canonical_name_is_one_whatever_the_model_is_called() -> None:
    catalogue = Catalogue.bundled()
    for provider, name in (("", "claude-4.7-opus-20260416"), ("", "anthropic:claude-opus-4-7"),
                           ("anthropic", "claude-opus-4.7"), ("vercel", "anthropic/claude-opus-4.7")):  # fmt: skip
        assert catalogue.canonical(provider, name) == "anthropic/claude-opus-4-7"
    assert (
        catalogue.canonical("openrouter", "anthropic/claude-4.7-opus-20260416")
        == "openrouter/anthropic/claude-opus-4.7"
    )
    assert catalogue.canonical("", "nobody-knows") == ""
