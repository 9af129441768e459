"""Which price entry a name means, and catalogues from fetched data."""

import json
from decimal import Decimal

import pytest
import yaml
from genai_prices.data_snapshot import DataSnapshot
from hypothesis import given
from hypothesis import strategies as st

from collector.config import PricingConfig, load
from collector.enrich.prices import catalogue as catalog
from collector.enrich.prices import pricelist
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.model_names import spellings
from collector.errors import ConfigError
from tests.support.prices import PRICE_DATA

CATALOGUE = Catalogue.bundled()


def found(provider: str, model: str, catalogue: Catalogue = CATALOGUE) -> str | None:
    entry = catalogue.entry(provider, model)
    return f"{entry.provider.id}/{entry.model.id}" if entry else None


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        # As instrumentations name providers.
        ("openai", "gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("OpenAI", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai.chat", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("openai.responses", "GPT-4o-mini", "openai/gpt-4o-mini"),
        ("Anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("anthropic.messages", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("gcp.gemini", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.gen_ai", "gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("x_ai", "grok-3", "x-ai/grok-3"),
        # No provider of prices: by the model.
        ("", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("strands-agents", "gpt-4o-mini", "openai/gpt-4o-mini"),
        ("langgraph", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        # Two sell it at one price: the vendor's entry.
        ("microsoft.agent_framework", "text-embedding-3-small", "openai/text-embedding-3-small"),
        ("openai", "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        ("", "llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        # Dates the library does not know.
        ("openai", "gpt-4o-mini-2031-01-31", "openai/gpt-4o-mini"),
        ("", "gemini-2.5-flash@20310131", "google/gemini-2.5-flash"),
        # The newest snapshot: as it is listed, else as the model is.
        ("openai", "chatgpt-4o-latest", "openai/chatgpt-4o-latest"),
        ("openrouter", "openai/chatgpt-4o-latest", "openrouter/openai/chatgpt-4o-latest"),
        ("gcp.gemini", "models/gemini-flash-latest", "google/gemini-3.8-flash"),
        ("deepseek", "deepseek-chat", "deepseek/deepseek-chat"),
        ("", "deepseek/deepseek-chat", "deepseek/deepseek-chat"),
        ("openai", "gpt-5-latest", "openai/gpt-5"),
        ("azure", "gpt-4o-latest", "azure/gpt-4o"),
        ("anthropic", "claude-sonnet-5-latest", "anthropic/claude-sonnet-5"),
        ("mistral_ai", "ministral-3b-latest", "mistral/ministral-3b"),
        ("openai", "gpt-latest", None),
        ("", "gpt-5-latest-latest", None),
        ("ollama", "gpt-5-latest", None),
        # Prefixes.
        ("", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("litellm", "vertex_ai/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("google", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("azure", "azure/gpt-4o", "azure/gpt-4o"),
        ("openrouter", "anthropic/claude-sonnet-4", "openrouter/anthropic/claude-sonnet-4"),
        ("", "openrouter/anthropic/claude-sonnet-4", "openrouter/anthropic/claude-sonnet-4"),
        ("", "us.anthropic.claude-sonnet-4-20250514-v1:0", "aws/regional.anthropic.claude-sonnet-4-20250514-v1:0"),
        ("", "bedrock/eu.amazon.nova-pro-v1:0", "aws/amazon.nova-pro-v1:0"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0",
            "aws/regional.anthropic.claude-3-5-sonnet-20240620-v1:0",
        ),
        # A fine-tuned model is not its base.
        ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", "openai/ft:gpt-4o-mini"),
        # Nobody's list price.
        ("ollama", "llama3.1:8b", None),
        ("vllm", "deepseek-chat", None),
        ("", "ollama/deepseek-r1", None),
        ("", "hosted_vllm/gpt-oss-120b", None),
        ("", "nobody-knows", None),
        ("openai", "", None),
        ("", " ", None),
        ("", "/" * 600, None),
        ("", "gpt-4o" + "x" * 600, None),
    ],
)
def test_names(provider: str, model: str, expected: str | None) -> None:
    assert found(provider, model) == expected


def test_what_the_library_finds_we_find_too() -> None:
    providers = {id(entry.provider): entry.provider for entry in CATALOGUE.entries()}
    library = DataSnapshot([*providers.values()], from_auto_update=False)
    agreed = 0
    for entry in CATALOGUE.entries():
        try:
            provider, model = library.find_provider_model(entry.model.id, None, entry.provider.id, None)
        except LookupError:  # a few entries do not match their own id
            continue
        assert found(entry.provider.id, entry.model.id) == f"{provider.id}/{model.id}"
        agreed += 1
    assert agreed > 0.95 * len(list(CATALOGUE.entries()))


def test_a_model_that_several_sell_and_no_vendor_owns_is_not_guessed() -> None:
    sellers: dict[str, set[str]] = {}
    for entry in CATALOGUE.entries():
        sellers.setdefault(entry.model.id.lower(), set()).add(entry.provider.id)
    name = next(n for n, who in sellers.items() if n.startswith("qwen/") and len(who) > 2 and "openrouter" in who)
    assert found("", name) is None
    assert found("openrouter", name) == f"openrouter/{name}"


def test_aliases_name_deployments() -> None:
    pricing = PricingConfig(aliases={"Team-GPT": "azure/gpt-4o", "fast": "gpt-4o-mini"})
    catalogue = Catalogue.bundled(pricing)
    assert found("azure", "team-gpt", catalogue) == "azure/gpt-4o"
    assert found("", "azure/Team-GPT", catalogue) == "azure/gpt-4o"
    assert found("openai", "fast", catalogue) == "openai/gpt-4o-mini"
    assert found("openai", "faster", catalogue) is None


@given(st.text(max_size=600), st.one_of(st.text(max_size=600), st.from_regex(r"[a-z./:@-]{0,80}", fullmatch=True)))
def test_no_string_raises(provider: str, model: str) -> None:
    CATALOGUE.entry(provider, model)
    assert len(list(spellings(model))) <= 24


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_MAX_REMEMBERED", 10)
    catalogue = Catalogue.bundled()
    for number in range(25):
        catalogue.entry("", f"nobody-{number}")
    assert len(catalogue._known) <= 10
    assert not catalogue._entries


BEFORE, AFTER = 20_000 * 86_400 * 10**9, 20_500 * 86_400 * 10**9


def test_a_catalogue_from_fetched_data() -> None:
    catalogue = Catalogue.from_bytes(json.dumps(PRICE_DATA).encode())
    assert catalogue.version.startswith("genai-prices/sha256-")
    early = catalogue.listed("acme", "acme-1", BEFORE, "", 11)
    assert early is not None
    assert early.ref == f"{catalogue.version}:acme/acme-1>10"
    assert {name: rate for _, name, rate in early.lines}["output"] == 4 * 10**6
    late = catalogue.listed("", "acme-1", AFTER, "", 11)
    assert late is not None
    assert late.ref.endswith("acme-1@2026-01-01")
    assert {name: rate for _, name, rate in late.lines}["input"] == 300_000
    # A price key newer than the library, and prices that do not fit together.
    assert catalogue.listed("", "acme-odd", AFTER, "", 11) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"\xff",
        b"{}",
        b"[]",
        b"[1]",
        b'[{"id": "acme"}]',
        b"[" * 100_000,
        json.dumps([{**PRICE_DATA[0], "models": []}]).encode(),
        json.dumps([{**PRICE_DATA[0], "provider_match": {}}]).encode(),
        json.dumps([{**PRICE_DATA[0], "provider_match": {"regex": "("}}]).encode(),
        json.dumps([{**PRICE_DATA[0], "models": [{**PRICE_DATA[0]["models"][0], "match": {"regex": "("}}]}]).encode(),
        json.dumps(
            [{**PRICE_DATA[0], "models": [{**PRICE_DATA[0]["models"][0], "prices": {"input_mtok": -1}}]}]
        ).encode(),
        json.dumps(
            [{**PRICE_DATA[0], "models": [{**PRICE_DATA[0]["models"][0], "prices": {"input_mtok": "x"}}]}]
        ).encode(),
    ],
)
def test_data_that_cannot_replace_the_prices_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^The price data cannot be used: "):
        Catalogue.from_bytes(data)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("overrides=[{model: x}]", "no price is set"),
        ("overrides=[{model: x, input: 1}]", "input and output are set together"),
        ("overrides=[{model: x, per_request: 1, cache_read: 1}]", "needs input and output"),
        ("overrides=[{model: '(', match: regex, input: 1, output: 1}]", "not a regular expression"),
        ("overrides=[{model: x, input: -1, output: 1}]", "greater than or equal to 0"),
        ("overrides=[{model: x, inptu: 1}]", "did you mean input?"),
        ("refresh={source: 'http://prices.example/data.json'}", "https"),
    ],
)
def test_a_mistake_in_the_settings_is_a_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence.replace("?", r"\?")):
        load(overrides=[f"pricing.{setting}"])


def test_price_lists_for_people() -> None:
    assert "openai/gpt-4o-mini  input 0.15  output 0.6  cache_read 0.075  cache_write 0.15 *" in list(
        pricelist.listing(CATALOGUE, AFTER, "OPENAI/gpt-4o-mini")
    )
    assert "google/gemma-3  no price" in list(pricelist.listing(CATALOGUE, AFTER, "google/gemma-3"))
    late = 20_770 * 86_400 * 10**9
    text = "\n".join(pricelist.show(CATALOGUE, "", "claude-haiku-5-5", late))
    for line in (
        "anthropic/claude-haiku-5-5\n  input              0.1 USD per million tokens\n",
        "anthropic/claude-haiku-5-5>100000\n  input              0.5 USD",
        "@2026-10-14+batch>100000\n",
        "web_searches       0.01 USD per piece",
        "changes: 2026-10-14",
    ):
        assert line in text
    assert "reasoning" not in text
    catalogue = Catalogue.bundled(PricingConfig.model_validate({"overrides": [{"model": "x", "per_hour": 2}]}))
    assert "  time               2 USD per hour" in pricelist.show(catalogue, "", "x", AFTER)


def test_the_report_on_unpriced_models_is_configuration_to_paste() -> None:
    text = "\n".join(pricelist.unpriced([("vllm", "my: model", 3), ("", "x", 9), ("p", "", 1)]))
    pricing = PricingConfig.model_validate(yaml.safe_load(text)["pricing"])
    assert [(o.model, o.provider, o.input) for o in pricing.overrides] == [
        ("my: model", "vllm", Decimal(0)),
        ("x", None, Decimal(0)),
    ]
    assert pricelist.show(CATALOGUE, "vllm", "my: model", AFTER)[0] == "my: model: no price is known."
    assert pricelist.unpriced([]) == ["Every model seen has a price."]
