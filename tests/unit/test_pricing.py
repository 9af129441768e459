"""The price of a call: the library's to the picodollar, overrides, and never a guess."""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any, cast

import genai_prices
import pytest
from genai_prices.types import Usage as LibraryUsage
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.config import PricingConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.entries import PriceEntry
from collector.enrich.prices.pricing import Priced, price
from collector.enrich.prices.rates import BUCKETS, Rates, quantities
from collector.model.money import PriceStatus, picodollars
from collector.model.usage import Usage

CATALOGUE = Catalogue.bundled()
ENTRIES = list(CATALOGUE.entries())
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400 * 10**9
TIERS = ("", "batch", "flex", "priority", "fast", "default", "no-such-tier")
COUNTED = (
    "web_searches",
    "storage_searches",
    "social_searches",
    "code_executions",
    "rerank_searches",
    "input_characters",
    "input_text_messages",
    "input_pixels",
)
# Our disjoint parts of a call, largest numbers first to cross every context tier.
PARTS = (
    *("plain", "read", "write", "hour", "audio", "audio_read", "image", "image_read", "video"),
    *("said", "reasoning", "spoken", "drawn", "filmed", "cited", "pages", "annotated"),
)


def usage_of(parts: Mapping[str, int], counted: Mapping[str, int]) -> Usage:
    """A consistent usage with these disjoint parts."""
    p = {name: parts.get(name, 0) for name in PARTS}
    details = {
        "input_image_tokens": p["image"] + p["image_read"],
        "cache_image_read_tokens": p["image_read"],
        "input_video_tokens": p["video"],
        "output_image_tokens": p["drawn"],
        "output_video_tokens": p["filmed"],
        "output_citation_tokens": p["cited"],
        "input_document_pages": p["pages"] + p["annotated"],
        "input_annotated_document_pages": p["annotated"],
        **counted,
    }
    return Usage(
        input_tokens=sum(p[name] for name in PARTS[:9]),
        output_tokens=sum(p[name] for name in PARTS[9:15]),
        cache_read_tokens=p["read"] + p["audio_read"] + p["image_read"],
        cache_write_tokens=p["write"] + p["hour"],
        cache_write_1h_tokens=p["hour"],
        reasoning_tokens=p["reasoning"],
        input_audio_tokens=p["audio"] + p["audio_read"],
        cache_audio_read_tokens=p["audio_read"],
        output_audio_tokens=p["spoken"],
        details={key: value for key, value in details.items() if value},
    )


def as_library(usage: Usage) -> LibraryUsage:
    keys = (
        *("input_image_tokens", "cache_image_read_tokens", "input_video_tokens", "output_image_tokens"),
        *("output_video_tokens", "output_citation_tokens", "input_document_pages", "input_annotated_document_pages"),
        *COUNTED,
    )
    return LibraryUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.input_audio_tokens,
        cache_audio_read_tokens=usage.cache_audio_read_tokens,
        output_audio_tokens=usage.output_audio_tokens,
        **{key: usage.details.get(key, 0) for key in keys},
    )


def context(tier: str) -> dict[str, str] | None:
    """The library's request context that our one word for the tier stands for."""
    return dict.fromkeys(("service_tier", "processing", "speed"), tier) if tier else None


def moment(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at // 1000)


def exact(total: Decimal) -> int:
    """The library's Decimal, computed with 60 digits so that it is exact, rounded once: half to even at 1e-12 USD."""
    return picodollars(total.quantize(Decimal("1e-12"), rounding=ROUND_HALF_EVEN))


class OneEntry:
    """A catalogue of one entry, to price by it whatever its name matches."""

    has_overrides = False

    def __init__(self, entry: PriceEntry) -> None:
        self.entry = entry

    def listed(self, _provider: str, _model: str, at: int, tier: str, input_tokens: int, _region: str) -> Rates | None:
        tariff = self.entry.tariff(at, tier)
        return tariff.rates(input_tokens) if tariff else None


def check(priced: Priced, entry: PriceEntry, usage: Usage, at: int, tier: str) -> None:
    with localcontext(prec=60):
        theirs = entry.model.calc_price(
            as_library(usage), entry.provider, genai_request_timestamp=moment(at), price_context=context(tier)
        )
        expected = exact(theirs.total_price)
    what = (entry.provider.id, entry.model.id, tier, moment(at), usage)
    if priced.status is PriceStatus.PRICED:
        assert priced.cost == expected, what
        assert sum(priced.details.values()) == priced.cost, what
        assert priced.ref.startswith(f"{CATALOGUE.version}:{entry.provider.id}/{entry.model.id}")
    else:
        # The library says 0 for what it has no price of; we say that we do not know.
        assert priced.cost is None, what
        assert expected == 0, what
        assert not priced.details


def instants(entry: PriceEntry) -> Iterator[int]:
    """Around every date on which a price of the entry changes, and several times of the day."""
    days = [(day - EPOCH.date()).days for day in entry.changes()] or [20_000]
    for day in {0, *days, *(day - 1 for day in days), 24_000}:
        yield day * DAY
    yield from ((days[-1] + 1) * DAY + hour * 1800 * 10**9 for hour in (1, 2, 7, 13, 19, 32, 33, 34, 47))


def test_every_entry_tier_and_period_of_the_library_is_priced_as_the_library_does() -> None:
    dice = random.Random(20)
    checked = known = 0
    for entry in ENTRIES:
        one = cast("Catalogue", OneEntry(entry))
        for tier in {"", *entry.tiers}:
            for at in instants(entry) if tier == "" or entry.tiers else ():
                size = dice.choice((50, 5_000, 60_000, 400_000))
                usage = usage_of(
                    {name: dice.randrange(size) for name in PARTS}, {key: dice.randrange(50) for key in COUNTED}
                )
                priced = price(
                    *(one,), provider="", request_model="m", response_model="", usage=usage, at=at, service_tier=tier
                )
                check(priced, entry, usage, at, tier)
                checked += 1
                known += priced.cost is not None
    assert checked > 3 * len(ENTRIES)
    assert known > 0.9 * checked


def test_a_context_tier_starts_above_its_threshold() -> None:
    at, checked = 20_760 * DAY, 0
    for entry in ENTRIES:
        tariff = entry.tariff(at)
        for above in [above for above, _ in tariff.bands[:-1]] if tariff else ():
            for size in (above - 1, above, above + 1):
                usage = Usage(size, 1000, cache_read_tokens=size // 3)
                one = cast("Catalogue", OneEntry(entry))
                priced = price(one, provider="", request_model="m", response_model="", usage=usage, at=at)
                check(priced, entry, usage, at, "")
                checked += 1
    assert checked > 300


NUMBERS = st.one_of(st.just(0), st.integers(0, 200), st.integers(0, 300_000), st.integers(0, 3_000_000))
USAGES = st.builds(
    usage_of, st.dictionaries(st.sampled_from(PARTS), NUMBERS), st.dictionaries(st.sampled_from(COUNTED), NUMBERS)
)


@settings(max_examples=500)
@given(st.sampled_from(ENTRIES), USAGES, st.integers(0, 2**32 * 10**9), st.sampled_from(TIERS), st.booleans())
def test_a_named_model_is_priced_as_the_librarys_calc_price(
    entry: PriceEntry, usage: Usage, at: int, tier: str, named: bool
) -> None:
    provider = entry.provider.id if named else None

    def library(used: Usage) -> genai_prices.types.PriceCalculation:
        return genai_prices.calc_price(
            as_library(used),
            entry.model.id,
            provider_id=provider,
            genai_request_timestamp=moment(at),
            price_context=context(tier),
        )

    with localcontext(prec=60):
        try:
            theirs = library(usage)
        except LookupError:
            return  # ours may know more names; test_catalog has the table
        if entry.model.id.endswith(":free") and theirs.model.id != entry.model.id:
            return  # the library takes what a gateway gives away for the model its maker sells
        expected, of_the_request_alone = exact(theirs.total_price), exact(library(Usage()).total_price)
    priced = price(
        CATALOGUE,
        provider=provider or "",
        request_model=entry.model.id,
        response_model="",
        usage=usage,
        at=at,
        service_tier=tier,
    )
    if priced.status is PriceStatus.NO_USAGE:
        # Nothing that was used has a price, though the library may have one of the request.
        assert expected == of_the_request_alone
    elif priced.cost is None:
        assert expected == 0
    elif "*" not in priced.ref:  # the library knows no factors: test_factors has them
        assert (priced.cost, sum(priced.details.values())) == (expected, expected)
        assert f":{theirs.provider.id}/{theirs.model.id}" in priced.ref


ANY = st.integers(0, 2**64)


@given(
    st.builds(
        Usage, *([ANY] * 9), details=st.dictionaries(st.sampled_from((*COUNTED, "input_image_tokens", "x")), ANY)
    ),
    st.integers(-(2**63), 2**64),
)
def test_buckets_are_disjoint_whatever_the_usage_claims(usage: Usage, duration: int) -> None:
    amounts = dict(zip(BUCKETS, quantities(usage, duration), strict=True))
    assert min(amounts.values()) >= 0
    names = list(BUCKETS)
    assert sum(amounts[name] for name in names[: names.index("output")]) == usage.input_tokens
    assert (
        sum(amounts[name] for name in names[names.index("output") : names.index("citation") + 1]) == usage.output_tokens
    )


@given(
    *(st.text(max_size=40),) * 4,
    st.one_of(st.none(), st.builds(Usage, *([ANY] * 9))),
    st.integers(-(2**63), 2**64),
    st.integers(-(2**63), 2**64),
)
def test_it_never_raises(
    provider: str, request: str, response: str, tier: str, usage: Usage | None, at: int, ns: int
) -> None:
    priced = price(
        CATALOGUE,
        provider=provider,
        request_model=request,
        response_model=response,
        usage=usage,
        at=at,
        duration_ns=ns,
        service_tier=tier,
    )
    assert (priced.cost is None) == (priced.status is not PriceStatus.PRICED)


NOON = 20_500 * DAY  # 2026-02-16


def ask(
    settings: Mapping[str, Any] | None = None,
    usage: Usage | None = None,
    model: str = "house-1",
    **changes: Any,
) -> Priced:
    catalogue = Catalogue.bundled(PricingConfig.model_validate(settings or {}))
    call = {"provider": "", "request_model": model, "response_model": "", "at": NOON, **changes}
    return price(catalogue, usage=usage, **call)


CALL = Usage(
    input_tokens=1000,
    output_tokens=300,
    cache_read_tokens=200,
    cache_write_tokens=150,
    cache_write_1h_tokens=50,
    reasoning_tokens=100,
    input_audio_tokens=60,
    cache_audio_read_tokens=10,
    output_audio_tokens=20,
)
MTOK = 10**6  # picodollars per token at 1 USD per million


def test_an_override_prices_every_bucket() -> None:
    rates = {
        "input": 1,
        "output": 2,
        "cache_read": "0.1",
        "cache_write": "1.25",
        "cache_write_1h": 2,
        "reasoning": 3,
        "input_audio": 4,
        "cache_audio_read": "0.5",
        "output_audio": 8,
    }
    priced = ask(
        {"overrides": [{"model": "house-1", "per_request": "0.001", "per_hour": "3.6", **rates}]},
        CALL,
        duration_ns=2 * 10**9,
    )
    assert priced.details == {
        "input": 600 * MTOK,
        "cache_read": 190 * MTOK // 10,
        "cache_write": 125 * MTOK,
        "cache_write_1h": 100 * MTOK,
        "input_audio": 200 * MTOK,
        "cache_audio_read": 5 * MTOK,
        "output": 360 * MTOK,
        "reasoning": 300 * MTOK,
        "output_audio": 160 * MTOK,
        "request": 10**9,
        "time": 2 * 10**9,
    }
    assert priced.cost == sum(priced.details.values())
    assert (priced.status, priced.ref) == (PriceStatus.PRICED, "override:house-1")


def test_parts_without_a_price_take_the_enclosing_one() -> None:
    priced = ask({"overrides": [{"model": "house-1", "input": 1, "output": 2, "cache_write": 3}]}, CALL)
    assert priced.cost == (850 * 1 + 150 * 3 + 300 * 2) * MTOK
    assert priced.details["cache_write_1h"] == 50 * 3 * MTOK
    assert priced.details["reasoning"] == 100 * 2 * MTOK
    assert priced.details["cache_audio_read"] == 10 * MTOK


def test_a_rate_that_no_picodollar_divides_is_rounded_once() -> None:
    priced = ask(
        {"overrides": [{"model": "house-1", "input": "0.0000003333333333", "output": "0.0000006666666666"}]},
        Usage(1, 1),
    )
    assert priced.details == {"input": 0, "output": 1}
    assert priced.cost == 1


USED = Usage(1_000_000, 0)
FREE = {"input": 0, "output": 0}


@pytest.mark.parametrize(
    ("override", "call", "cost"),
    [
        ({"model": "HOUSE-1", "input": 1, "output": 1}, {}, 1),
        ({"model": "house", "input": 1, "output": 1}, {}, None),
        ({"model": "house", "match": "prefix", "input": 1, "output": 1}, {}, 1),
        ({"model": "house-\\d", "match": "regex", "input": 1, "output": 1}, {}, 1),
        ({"model": "house", "match": "regex", "input": 1, "output": 1}, {}, None),
        ({"model": ".*", "match": "regex", "provider": "vllm", "input": 1, "output": 1}, {"provider": "vLLM"}, 1),
        ({"model": ".*", "match": "regex", "provider": "vllm", "input": 1, "output": 1}, {"provider": "sglang"}, None),
        ({"model": "house-1", "provider": "google", "input": 1, "output": 1}, {"provider": "gcp.gemini"}, 1),
        ({"model": "house-1", "input": 1, "output": 1, "effective_from": "2026-02-16"}, {}, 1),
        ({"model": "house-1", "input": 1, "output": 1, "effective_from": "2026-02-16T00:00:01Z"}, {}, None),
        ({"model": "house-1", "input": 1, "output": 1, "effective_until": "2026-02-16"}, {}, None),
        ({"model": "house-1", "input": 1, "output": 1, "effective_until": "2026-02-16T01:00:01+01:00"}, {}, 1),
        ({"model": "house-1", "input": 1, "output": 1, "service_tier": "Flex"}, {"service_tier": "flex"}, 1),
        ({"model": "house-1", "input": 1, "output": 1, "service_tier": "flex"}, {}, None),
        ({"model": "house-1", "input": 1, "output": 1, "input_above": 999_999}, {}, 1),
        ({"model": "house-1", "input": 1, "output": 1, "input_above": 1_000_000}, {}, None),
        ({"model": "house-1", **FREE}, {}, 0),
        ({"model": "house-1", "per_hour": 0}, {}, 0),
        ({"model": "house-1", "per_request": 2}, {"usage": None}, 2),
        ({"model": "house-1", "per_hour": 2}, {"usage": None, "duration_ns": 1800 * 10**9}, 1),
        ({"model": "house-1", **FREE}, {"usage": None}, 0),
        ({"model": "house-1", "input": 1, "output": 1, "per_request": 1}, {"usage": None}, None),
        ({"model": "my-gpt", "input": 1, "output": 1}, {"model": "my-gpt", "response_model": "gpt-4o"}, 1),
    ],
)
def test_overrides(override: dict[str, Any], call: dict[str, Any], cost: int | None) -> None:
    priced = ask({"overrides": [override]}, **{"usage": USED, **call})
    assert priced.cost == (None if cost is None else cost * 10**12)


@pytest.mark.parametrize(
    ("override", "call", "holds"),
    [
        ({"model": "gpt-4o"}, ("openai", "openai/gpt-4o"), True),
        ({"model": "gpt-4o"}, ("openai", "gpt-4o-2024-11-20"), True),
        ({"model": "gpt-4o"}, ("litellm", "azure/gpt-4o"), True),
        ({"model": "openai/gpt-4o"}, ("openai", "gpt-4o"), True),
        ({"model": "claude-sonnet-4-5"}, ("anthropic", "claude-sonnet-4-5-20250929"), True),
        ({"model": "claude-sonnet-4-5"}, ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), True),
        ({"model": "claude-sonnet-4-5"}, ("openrouter", "anthropic/claude-sonnet-4.5"), True),
        ({"model": "gpt-5", "match": "prefix"}, ("litellm", "openai/gpt-5-2025-08-07"), True),
        ({"model": "gpt-4o", "provider": "openai"}, ("litellm", "openai/gpt-4o"), True),
        # Other models, sellers and engines, and expressions, which say everything themselves.
        ({"model": "gpt-4o"}, ("openai", "openai/gpt-4o-mini"), False),
        ({"model": "gpt-4o"}, ("openai", "gpt-4o-2024-05-13"), False),
        ({"model": "gpt-4o-2024-05-13"}, ("openai", "gpt-4o"), False),
        ({"model": "gpt-4o", "provider": "openai"}, ("litellm", "azure/gpt-4o"), False),
        ({"model": "gpt-4o", "provider": "openai"}, ("azure", "gpt-4o-2024-11-20"), False),
        ({"model": "gpt-oss-120b"}, ("litellm", "ollama/gpt-oss-120b"), False),
        ({"model": "deepseek/deepseek-r1"}, ("openrouter", "deepseek/deepseek-r1:free"), False),
        ({"model": "gpt-4o", "match": "regex"}, ("openai", "openai/gpt-4o"), False),
    ],
)
@pytest.mark.parametrize("price", [{"input": 1, "output": 2}, {"factor": "0.5"}])
def test_an_override_holds_for_its_model_in_every_spelling(
    override: dict[str, Any], call: tuple[str, str], holds: bool, price: dict[str, Any]
) -> None:
    provider, model = call
    ref = ask({"overrides": [{"name": "contract", **override, **price}]}, USED, model, provider=provider).ref
    assert ("override:contract" in ref) is holds


def test_an_override_of_a_model_nobody_lists_holds_behind_prefixes() -> None:
    settings = {"overrides": [{"model": "house-1", "input": 1, "output": 2}]}
    assert ask(settings, USED, "openai/house-1", provider="litellm").ref == "override:house-1"
    assert ask(settings, USED, "ollama/house-1", provider="litellm").ref == ""


def test_an_override_of_the_very_name_comes_before_one_of_another_spelling() -> None:
    general = {"name": "general", "model": "claude-sonnet-4-5", "input": 1, "output": 1}
    dated = {"name": "dated", "model": "claude-sonnet-4-5-20250929", "input": 2, "output": 2}
    for order in ([general, dated], [dated, general]):
        settings = {"overrides": order}
        assert ask(settings, USED, "claude-sonnet-4-5", provider="anthropic").ref == "override:general"
        assert ask(settings, USED, "claude-sonnet-4-5-20250929", provider="anthropic").ref == "override:dated"


def test_the_first_override_in_force_wins_over_later_ones_and_the_library() -> None:
    settings = {
        "overrides": [
            {"name": "old", "model": "gpt-4o", "effective_until": "2026-01-01", "input": 7, "output": 7},
            {"name": "contract", "model": "gpt-4o", "effective_from": "2026-01-01", "input": 1, "output": 1},
            {"name": "late", "model": "gpt-", "match": "prefix", "input": 9, "output": 9},
        ]
    }
    assert ask(settings, USED, "gpt-4o", provider="openai").ref == "override:contract@2026-01-01"
    assert ask(settings, USED, "gpt-4o-mini").ref == "override:late"
    assert ask(settings, USED, "claude-sonnet-4-5").ref.startswith("genai-prices/")


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ({"model": "nobody-knows", "usage": USED}, PriceStatus.UNKNOWN_MODEL),
        ({"model": "", "usage": USED}, PriceStatus.UNKNOWN_MODEL),
        ({"model": "nobody-knows", "usage": None}, PriceStatus.NO_USAGE),
        ({"model": "gpt-4o", "usage": None}, PriceStatus.NO_USAGE),
        ({"model": "gpt-4o", "usage": Usage(details={"inconsistent.x": 1})}, PriceStatus.NO_USAGE),
        ({"model": "whisper-1", "usage": USED}, PriceStatus.NO_USAGE),  # billed by the minute, which the span lacks
        ({"model": "gpt-4o", "usage": Usage(2**63, 0)}, PriceStatus.NO_USAGE),  # 23 trillion dollars
        ({"model": "gemma-3", "provider": "google", "usage": USED}, PriceStatus.UNKNOWN_MODEL),  # listed, no price
    ],
)
def test_no_price_is_no_cost_and_says_why(call: dict[str, Any], status: PriceStatus) -> None:
    priced = ask(**call)
    assert (priced.cost, priced.details, priced.status) == (None, {}, status)


def test_the_response_model_is_asked_first_then_the_request_model() -> None:
    both = ask(None, USED, "gpt-4o", response_model="gpt-4o-mini-2024-07-18")
    assert both.ref.endswith(":openai/gpt-4o-mini")
    assert ask(None, USED, "gpt-4o", response_model="a-deployment").ref.endswith(":openai/gpt-4o")


def test_the_reference_names_date_tier_and_context_band() -> None:
    long, short = Usage(300_000, 10), Usage(1000, 10)
    late = 20_770 * DAY  # 2026-11-13
    assert ask(None, long, "claude-sonnet-4-5").ref.endswith(":anthropic/claude-sonnet-4-5>200000")
    assert ask(None, short, "o3", at=late).ref.endswith(":openai/o3@2025-06-10")
    assert ask(None, short, "o3", at=10_000 * DAY).ref.endswith(":openai/o3")
    assert ask(None, short, "claude-haiku-4-5", at=late, service_tier="batch").ref.endswith(
        ":anthropic/claude-haiku-4-5@2026-10-14+batch"
    )
    assert ask(None, short, "claude-haiku-4-5", at=late, service_tier="standard").ref.endswith("/claude-haiku-4-5")
