"""What a span says that its call cost: when it stands, what gateways mean by it, and what it tells about the cache."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.priced import Value, chat, row, rows


def house(**more: Value) -> dict[str, Value]:
    """A call of a model that nobody lists."""
    return chat("litellm_proxy/prod/house-model", "litellm_proxy", **more)


# --- zero


@pytest.mark.parametrize(
    ("attributes", "status", "cost"),
    [
        (house(**{"gen_ai.usage.cost": 0.0}), "unknown_model", None),
        (house(**{"gen_ai.usage.cost": "0"}), "unknown_model", None),
        (house(**{"gen_ai.usage.cost": 0.004}), "reported", Decimal("0.004")),
        (house(**{"gen_ai.usage.cost": 0.0, "gen_ai.cost.total_cost": 0.25}), "reported", Decimal("0.25")),
        (house(), "unknown_model", None),
        (chat("nobody/knows:free", "openrouter") | {"gen_ai.usage.cost": 0.0}, "reported", Decimal(0)),
        (chat("nobody/knows:free", "openrouter"), "unknown_model", None),
        # The free variant of a model is not its other variants.
        (chat("deepseek/deepseek-chat-v3.1:free", "openrouter", **{"gen_ai.usage.cost": 0.0}), "reported", Decimal(0)),
        (chat("deepseek/deepseek-r1:free", "openrouter"), "priced", Decimal(0)),
        # The gateway charges nothing for a key of one's own, but the provider does, unless its bill is there.
        (house(**{"gen_ai.usage.cost": 0.0, "gen_ai.usage.is_byok": True}), "unknown_model", None),
        (chat("gpt-4o") | {"gen_ai.usage.cost": 0.0, "gen_ai.usage.is_byok": True}, "priced", Decimal("0.0035")),
        (
            house(
                **{
                    "gen_ai.usage.cost": 0,
                    "gen_ai.usage.is_byok": True,
                    "gen_ai.usage.cost_details.upstream_inference_cost": 0,
                }
            ),
            "reported",
            Decimal(0),
        ),
        (house(**{"gen_ai.usage.cost": 0.0, "gen_ai.usage.is_byok": False}), "unknown_model", None),
        # A model with a price costs that, whatever is reported.
        (chat("gpt-4o") | {"gen_ai.usage.cost": 0.0}, "priced", Decimal("0.0035")),
    ],
)
def test_zero_is_a_price_only_where_something_says_free(
    attributes: dict[str, Value], status: str, cost: Decimal | None
) -> None:
    found = row(attributes)
    assert (found["PriceStatus"], found["Cost"]) == (status, cost)


def test_the_zero_that_was_reported_is_still_shown() -> None:
    assert row(house(**{"gen_ai.usage.cost": 0.0}))["ReportedCost"] == 0


# --- gateways


def openrouter(**usage: Any) -> dict[str, Value]:
    """OpenRouter's answer through its OpenAI interface, as OpenInference has it."""
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": "nobody/knows",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100,
        "output.value": json.dumps({"id": "gen-1", "model": "nobody/knows", "usage": usage}),
    }


def ai_sdk(meta: dict[str, Any]) -> dict[str, Value]:
    return {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "nobody/knows",
        "ai.model.provider": "gateway",
        "ai.response.providerMetadata": json.dumps(meta),
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 100,
    }


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        (openrouter(cost=0.004, is_byok=False, cost_details={"upstream_inference_cost": 0.004}), "0.004"),
        (openrouter(cost=0, is_byok=True, cost_details={"upstream_inference_cost": 0.0360795}), "0.0360795"),
        (openrouter(cost=0.002, is_byok=True, cost_details={"upstream_inference_cost": 0.04}), "0.042"),
        (openrouter(cost=0.002, cost_details={"upstream_inference_cost": 0.04}), "0.042"),
        (openrouter(cost=0.004, cost_details={"upstream_inference_cost": 0.0041}), "0.004"),
        (openrouter(cost=0.004, cost_details={"upstream_inference_cost": None}), "0.004"),
        (openrouter(cost=0.004), "0.004"),
        (openrouter(), None),
        (ai_sdk({"gateway": {"cost": "0.00123", "marketCost": "0.00123", "generationId": "gen_1"}}), "0.00123"),
        (ai_sdk({"gateway": {"cost": "0", "marketCost": "0.00123"}}), "0.00123"),
        (ai_sdk({"openrouter": {"usage": {"cost": 0.004, "costDetails": {"upstreamInferenceCost": 0.004}}}}), "0.004"),
        (ai_sdk({"openrouter": {"usage": {"cost": 0, "costDetails": {"upstreamInferenceCost": 0.03}}}}), "0.03"),
        (house(hidden_params=json.dumps({"response_cost": "0.0125", "api_base": "https://x"})), "0.0125"),
        (house(hidden_params=json.dumps({"response_cost": None})), None),
        (house(**{"llm.response.cost": 0.5}), "0.5"),
        (house(**{"gen_ai.usage.raw": json.dumps({"cost": 0.1, "is_byok": False})}), "0.1"),
        (house(**{"metadata.usage_object": "{'cost': 0.0, 'is_byok': True, 'cost_details': {'upstream_inference_cost': 0.5}}",
                  "hidden_params": "{}"}), "0.5"),
    ],
)  # fmt: skip
def test_the_bills_of_gateways(attributes: dict[str, Value], cost: str | None) -> None:
    found = row(attributes)
    assert found["ReportedCost"] == (None if cost is None else Decimal(cost))
    assert found["Cost"] == found["ReportedCost"]


def langfuse(details: dict[str, Any], **usage: Any) -> dict[str, Value]:
    return {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "house-model",
        "langfuse.observation.usage_details": json.dumps({"input": 1000, "output": 100} | usage),
        **({"langfuse.observation.cost_details": json.dumps(details)} if details else {}),
    }


def openinference(**costs: Value) -> dict[str, Value]:
    return {
        "openinference.span.kind": "LLM", "llm.model_name": "house-model", "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 100, **{f"llm.cost.{name}": cost for name, cost in costs.items()},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "cost"),
    [
        (langfuse({"input": 0.01, "output": 0.0023}), "0.0123"),
        (langfuse({"input": 0.01, "output": 0.002, "input_cached_tokens": 0.0003}), "0.0123"),
        (langfuse({"input": 0.01, "output": 0.0023, "total": 0.02}), "0.02"),
        (langfuse({"input": 0.01, "output": 0.0023, "total": 0}), "0.0123"),
        (langfuse({}, cost=0.0123), "0.0123"),
        (langfuse({}, cost=0.0006, is_byok=True, cost_details={"upstream_inference_cost": 0.0117}), "0.0123"),
        (openinference(prompt=0.01, completion=0.0023), "0.0123"),
        (openinference(prompt=0.01, completion=0.0023, total=0.02), "0.02"),
        (openinference(prompt=0.01, completion=0.0023, total=0.0), "0.0123"),
        (house(**{"gen_ai.usage.input_cost": 0.01, "gen_ai.usage.output_cost": 0.0023}), "0.0123"),
        (house(**{"gen_ai.cost.input_cost": 0.01, "gen_ai.cost.output_cost": 0.0023}), "0.0123"),
        (house(**{"langsmith.span.kind": "llm", "langsmith.metadata.usage_metadata":
                  json.dumps({"input_cost": 0.01, "output_cost": 0.0023})}), "0.0123"),
        (house(**{"mlflow.llm.cost": json.dumps({"input_cost": 0.01, "output_cost": 0.0023})})
         | {"mlflow.spanType": '"CHAT_MODEL"'}, "0.0123"),
    ],
)  # fmt: skip
def test_parts_of_a_cost_add_up_where_the_whole_is_not_sent(attributes: dict[str, Value], cost: str) -> None:
    found = row(attributes)
    assert found["ReportedCost"] == Decimal(cost)
    assert (found["PriceStatus"], found["Cost"]) == ("reported", Decimal(cost))


@pytest.mark.parametrize(
    ("attributes", "reported"),
    [
        # One side of it is no bill, and nothing in all its parts is not free.
        (openinference(prompt=0.01), None),
        (openinference(prompt=0.01, completion="unknown"), None),
        (openinference(prompt=0.0, completion=0.0), Decimal(0)),
        (langfuse({"input": 0, "output": 0, "total": 0}), Decimal(0)),
        (langfuse({"input": 0.01, "output": "unknown"}), None),
    ],
)
def test_parts_that_are_no_cost(attributes: dict[str, Value], reported: Decimal | None) -> None:
    found = row(attributes)
    assert found["ReportedCost"] == reported
    assert (found["PriceStatus"], found["Cost"]) == ("unknown_model", None)


def test_a_cost_within_content_is_one_of_a_call_only() -> None:
    answer = openrouter(cost=0.004)
    assert row(answer | {"openinference.span.kind": "TOOL"})["ReportedCost"] is None


# --- what is kept in the cache for an hour


def anthropic(written: int, cost: float | str | None, **more: Value) -> dict[str, Value]:
    """Claude Sonnet 4.5: 3 in, 15 out, cache writes 3.75 for five minutes and 6 for an hour, USD per million."""
    call = chat("claude-sonnet-4-5", "anthropic") | {"gen_ai.usage.input_tokens": 1000 + written}
    call |= {"gen_ai.usage.cache_creation.input_tokens": written}
    return call | ({} if cost is None else {"gen_ai.usage.cost": cost}) | more


LEFT = 1000 * 3 + 100 * 15  # micro-dollars


@pytest.mark.parametrize(
    ("hour", "cost"),
    [
        (0, None),
        (0, (LEFT + 2000 * 3.75) / 10**6),
        (2000, (LEFT + 2000 * 6) / 10**6),
        (501, (LEFT + 1499 * 3.75 + 501 * 6) / 10**6),
        # Rounded to the micro-dollar, as coding agents report it.
        (501, round((LEFT + 1499 * 3.75 + 501 * 6) / 10**6, 6)),
        # No number of writes gives these: dearer than all of them, cheaper than none, between two.
        (0, (LEFT + 2000 * 6 + 10) / 10**6),
        (0, (LEFT + 2000 * 3.75 - 10) / 10**6),
        (0, "0.0131271234"),
    ],
)
def test_the_split_that_gives_the_reported_cost_is_priced(hour: int, cost: float | str | None) -> None:
    found = row(anthropic(2000, cost))
    assert found["Cost"] == (LEFT + (2000 - hour) * Decimal("3.75") + hour * 6) / 10**6
    assert dict(found["CostDetails"]).get("cache_write_1h") == (Decimal(hour * 6) / 10**6 if hour else None)


def test_a_split_that_was_sent_is_priced_whatever_is_reported() -> None:
    split: dict[str, Value] = {"gen_ai.usage.details.ephemeral_1h_input_tokens": 500}
    assert row(anthropic(2000, 0.0165, **split))["Cost"] == (LEFT + 1500 * Decimal("3.75") + 500 * 6) / 10**6
    none: dict[str, Value] = {"gen_ai.usage.details.ephemeral_1h_input_tokens": 0}
    assert row(anthropic(2000, 0.0165, **none))["Cost"] == (LEFT + 2000 * Decimal("3.75")) / 10**6


def test_langchains_lifetimes_reach_langfuse_under_names_of_their_own() -> None:
    usage = {"input": 1000, "input_cache_read": 10000, "input_cache_creation": 0, "input_ephemeral_1h_input_tokens": 1000,
             "output": 100, "total": 12100}  # fmt: skip
    found = row(
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "claude-sonnet-5",
            "langfuse.observation.usage_details": json.dumps(usage),
        }
    )
    assert (found["InputTokens"], found["CacheWriteTokens"], found["Cost"]) == (12000, 1000, Decimal("0.009"))


@pytest.mark.parametrize(
    ("override", "rate"),
    [
        ({"factor": "0.83"}, Decimal("0.83")),
        ({"factor": "1.25"}, Decimal("1.25")),
        # Twice the listed price of everything.
        ({"input": 6, "output": 30, "cache_write": "7.5", "cache_write_1h": 12}, Decimal(2)),
    ],
)
@pytest.mark.parametrize("hour", [0, 501, 2000])
def test_the_split_is_found_at_listed_rates_and_priced_at_those_of_an_override(
    override: dict[str, Any], rate: Decimal, hour: int
) -> None:
    pricing = {"overrides": [{"name": "contract", "model": "claude-sonnet-4-5", **override}]}
    listed = (LEFT + (2000 - hour) * Decimal("3.75") + hour * 6) / 10**6
    for reported in (listed, listed * rate):
        found = row(anthropic(2000, str(reported)), pricing=pricing)
        assert found["Cost"] == listed * rate
        assert dict(found["CostDetails"]).get("cache_write_1h") == (hour * 6 * rate / 10**6 if hour else None)


def test_all_writes_or_none_at_the_rates_of_an_override_come_before_a_part_of_them_at_listed_ones() -> None:
    pricing = {"overrides": [{"model": "claude-sonnet-4-5", "factor": "0.85"}]}
    # 900 writes for an hour at listed rates, or all 2000 at 85 % of them.
    found = row(anthropic(2000, "0.014025"), pricing=pricing)
    assert found["Cost"] == Decimal("0.014025")


def test_the_split_is_found_for_many_rows_of_an_override_as_for_one() -> None:
    pricing = {"overrides": [{"name": "contract", "model": "claude-sonnet-4-5", "factor": "0.5"}]}
    costs = [(LEFT + (2000 - hour) * Decimal("3.75") + hour * 6) / 10**6 for hour in range(1, 30)]
    found = rows([anthropic(2000, str(cost)) for cost in costs], pricing=pricing)
    assert [each["Cost"] for each in found] == [cost / 2 for cost in costs]


def test_the_split_is_found_beside_a_region() -> None:
    cost = (LEFT + 1000 * 3.75 + 1000 * 6) * 1.1 / 10**6
    call = anthropic(2000, cost, **{"server.address": "us-east5-aiplatform.googleapis.com"})
    found = row(call | {"gen_ai.provider.name": "gcp.vertex_ai"})
    assert found["Cost"] == (LEFT + 1000 * Decimal("3.75") + 1000 * 6) * Decimal("1.1") / 10**6
