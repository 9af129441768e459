"""One name for a model, whichever of its names a span, a caller or a setting has."""

import pytest

from collector.config import PricingConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.model.model_names import AS_SENT, named

OWN = {"model": "claude-house", "input": 1, "output": 2}
PRICING = PricingConfig.model_validate(
    {
        "overrides": [
            OWN,
            {"model": "gpt-4o-2024-08-06", "input": 1, "output": 1},
            {"model": "gpt-5", "factor": "0.9"},
        ],
        "aliases": {"prod-chat": "gpt-4o", "house": "acme-70b"},
    }
)
CATALOGUE = Catalogue.bundled(PRICING)


@pytest.mark.parametrize(
    ("provider", "sent", "name"),
    [
        ("openai", "gpt-5", "gpt-5"),
        ("openai", "gpt-5-2025-08-07", "gpt-5"),
        ("", "openai/gpt-5", "gpt-5"),
        ("litellm", "openai/GPT-5", "gpt-5"),
        ("azure.ai.openai", "gpt-4o-2024-11-20", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),  # another price, so another model
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("openai", "prod-chat", "gpt-4o"),
        ("openai", "house", "acme-70b"),
        ("anthropic", "claude-house", "claude-house"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),  # an override of a dated name is of the model all the same
        ("openai", "nobody-knows", ""),
        ("ollama", "gpt-5", ""),
        ("", "", ""),
        ("openai", "gpt-5" * 200, ""),
    ],
)
def test_names_of_one_model_meet(provider: str, sent: str, name: str) -> None:
    assert CATALOGUE.model_name(provider, sent) == name


def test_a_model_has_the_name_it_answers_by_and_all_it_was_called() -> None:
    assert named(CATALOGUE, "openai", "gpt-5-mini-2025-08-07", "gpt-5") == (
        "gpt-5-mini",
        ("gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5"),
    )
    assert named(CATALOGUE, "openai", "unheard-of", "gpt-5").name == "gpt-5"
    assert named(CATALOGUE, "", "unheard-of", "nobody-knows").name == "unheard-of"
    assert named(CATALOGUE, "", "", "").names == ("",)
    assert named(AS_SENT, "openai", "", "gpt-5").names == ("gpt-5",)


def test_the_same_settings_give_the_same_identity() -> None:
    assert Catalogue.bundled(PRICING).identity == CATALOGUE.identity
    assert Catalogue.bundled().identity != CATALOGUE.identity
