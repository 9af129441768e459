"""Rules: which calls a budget counts, in whose name, and what of it names its sums."""

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.budgets.periods import Calendar, PeriodKind, Rolling
from collector.budgets.rules import Rule, Rules, Unit, Unpriced
from collector.config import DIMENSIONS, Config
from collector.model.budgets import Dimensions

SECOND = 1_000_000_000
CALL = Dimensions(
    project="shop",
    service="support-agent",
    environment="prod",
    provider="openai",
    model="gpt-4o-mini",
    agent="triage",
    feature="checkout",
    user="u1",
    conversation="c1",
)


def rules(*budgets: dict[str, Any]) -> Rules:
    """Rules of budgets with these settings, over what a budget needs."""
    webhooks = {"ops": {"url": "https://hooks.example.com", "secret": "0123456789abcdef"}}
    listed = [{"name": f"b{number}", "limit_usd": 10, "period": "day"} | one for number, one in enumerate(budgets)]
    for one in listed:
        if "limit_tokens" in one:
            del one["limit_usd"]
    return Rules.from_config(Config.model_validate({"store": {"ttl": 0}, "webhooks": webhooks, "budgets": listed}))


def rule(**settings: Any) -> Rule:
    (found,) = rules(settings).rules
    return found


def test_a_rule_has_what_its_budget_says() -> None:
    found = rule(
        name="support",
        limit_usd="1000.000000000001",
        period="month",
        month_day=5,
        timezone="America/New_York",
        match={"service": "support-agent"},
        per=["feature"],
        limits={"checkout": 0.1},
        warn_at=[0.8, 0.25],
        hard=True,
        unpriced="block",
        webhooks=["ops"],
    )
    assert (found.name, found.unit, found.limit) == ("support", Unit.USD, 1000 * 10**12 + 1)
    assert found.schedule == Calendar(PeriodKind.MONTH, ZoneInfo("America/New_York"), 0, 5)
    assert (found.timezone_name, found.period_name) == ("America/New_York", "month")
    assert (found.match, found.per) == ({"service": ("support-agent",)}, ("feature",))
    assert (found.limit_of(("checkout",)), found.limit_of(("other",))) == (10**11, found.limit)
    assert found.warn_at == (Decimal("0.25"), Decimal("0.8"))
    assert (found.hard, found.unpriced, found.webhooks) == (True, Unpriced.BLOCK, ("ops",))


def test_tokens_and_windows() -> None:
    found = rule(limit_tokens=5_000_000, period="24h", per="user", limits={"a": 7}, timezone="Asia/Tokyo")
    assert (found.unit, found.limit, found.limit_of(("a",))) == (Unit.TOKENS, 5_000_000, 7)
    assert found.schedule == Rolling(86_400 * SECOND)
    assert (found.period_name, found.timezone_name) == ("24h", "Asia/Tokyo")
    assert rule(period="week", week_start="sunday").schedule == Calendar(PeriodKind.WEEK, ZoneInfo("UTC"), 6, 1)


@pytest.mark.parametrize("name", DIMENSIONS)
def test_every_dimension_is_matched_and_told_apart(name: str) -> None:
    value = getattr(CALL, name) or "judge"

    def saying(text: str) -> Dimensions:
        return Dimensions(**{**CALL._asdict(), name: text})

    found = rule(match={name: [value, "another"]}, per=[name])
    assert found.scope_of(saying(value)) == (value,)
    assert found.scope_of(saying(value + "x")) is None
    assert found.scope_of(saying("")) is None
    assert rule(per=[name]).scope_of(Dimensions()) == ("",)
    assert rule(match={name: ""}).scope_of(saying("")) == ()  # calls that do not say it


def test_calls_of_another_purpose_count_where_one_is_named() -> None:
    judging = CALL._replace(purpose="judge")
    for counting in (rule(match={"purpose": "judge"}), rule(match={"purpose": ["", "judge"]})):
        assert counting.scope_of(judging) == ()
    assert rule(match={"purpose": "judge"}).scope_of(CALL) is None
    assert rule(match={"service": CALL.service}).scope_of(judging) is None
    assert rule(per=["purpose"]).scope_of(judging) == ("judge",)
    assert not rule(per=["user"]).admits({"purpose": "judge"})


def test_a_call_has_to_match_in_everything() -> None:
    found = rule(match={"service": "support-agent", "model": "gpt-*", "feature": ["checkout", "cart"]}, per=["user"])
    assert found.scope_of(CALL) == ("u1",)
    assert found.scope_of(CALL._replace(feature="cart")) == ("u1",)
    assert found.scope_of(CALL._replace(service="Support-Agent")) is None
    assert found.scope_of(CALL._replace(model="o3")) is None
    assert found.scope_of(CALL._replace(feature="search")) is None
    assert rule().scope_of(CALL) == ()


@pytest.mark.parametrize(
    ("pattern", "model", "matches"),
    [
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "GPT-4O", True),
        ("GPT-*", "gpt-4o", True),
        ("gpt-*", "openai/gpt-4o", False),
        ("*gpt-*", "openai/gpt-4o", True),
        ("gpt-?", "gpt-4", True),
        ("gpt-?", "gpt-4o", False),
        ("gpt-?", "gpt-", False),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "gpt-4o\n", False),
        ("*", "", True),
        ("", "", True),
        ("", "gpt-4o", False),
        ("?", "\n", True),
        ("?", "\U0001f600", True),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-5[1m]", True),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4-51", False),
        ("[!a]*", "b", False),
        ("a.c", "abc", False),
        ("(a|b)", "a", False),
        ("k", "\u212a", False),
        ("\u00c4", "\u00e4", False),
        ("\u00c4*", "\u00c4x", True),
    ],
)
def test_patterns_of_models(pattern: str, model: str, matches: bool) -> None:
    found = rule(match={"model": pattern})
    assert (found.scope_of(Dimensions(model=model)) is not None) == matches
    assert (rule(match={"model": ["zz", pattern]}).scope_of(Dimensions(model=model)) is not None) == matches


def test_a_pattern_of_many_stars_takes_no_longer_than_the_name_is() -> None:
    found = rule(match={"model": "*a" * 90 + "*b"})
    assert found.scope_of(Dimensions(model="a" * 100_000)) is None


def test_attributes_are_read_in_one_order_by_all_rules() -> None:
    found = rules(
        {"match": {"attribute.team": ["red", "blue"]}, "per": ["attribute.cost.center", "feature"]},
        {"per": ["attribute.a"]},
        {},
    )
    assert found.attribute_keys == ("a", "cost.center", "team")
    call = CALL._replace(attributes=("1", "2", "red"))
    assert [(one.name, scope) for one, scope in found.matching(call)] == [
        ("b0", ("2", "checkout")),
        ("b1", ("1",)),
        ("b2", ()),
    ]
    assert found.rules[0].scope_of(CALL._replace(attributes=("1", "2", "green"))) is None
    # A check may come without any.
    assert [(one.name, scope) for one, scope in found.matching(CALL)] == [("b1", ("",)), ("b2", ())]
    assert rules().attribute_keys == rules({}).attribute_keys == ()


def test_rules_that_read_attributes_in_another_order_are_not_put_together() -> None:
    (one,) = rules({"per": ["attribute.b"]})
    (other,) = rules({"name": "other", "per": ["attribute.a"]})
    with pytest.raises(ValueError, match=r"the rule b0 reads \('b',\), not \('a', 'b'\)"):
        Rules([one, other])


def test_rules_by_name() -> None:
    found = rules({"name": "x"}, {"name": "y"})
    assert [one.name for one in found] == ["x", "y"]
    assert len(found) == 2
    assert found.by_name("y") is found.rules[1]
    with pytest.raises(KeyError):
        found.by_name("z")


def test_whose_rule_it_is() -> None:
    assert rule().visible_to("shop")
    assert rule(match={"service": "x"}, per="project").visible_to("shop")
    assert rule(match={"project": ["shop", "lab"]}).visible_to("lab")
    assert not rule(match={"project": "shop"}).visible_to("lab")


def test_what_a_query_matches_by() -> None:
    match = {
        "project": "shop",
        "feature": ["a", "b"],
        "model": ["gpt-*", "o?"],
        "attribute.z": "1",
        "attribute.k": ["2", "3"],
    }
    found = rule(match=match, per=["user", "attribute.z"]).sql_parameters()
    assert found == {
        "match_project": ["shop"],
        "match_service": [],
        "match_environment": [],
        "match_provider": [],
        "match_agent": [],
        "match_feature": ["a", "b"],
        "match_user": [],
        "match_conversation": [],
        "match_purpose": [""],
        "attribute_keys": ["k", "k", "z"],
        "attribute_values": ["2", "3", "1"],
        "per": ["user", "attribute.z"],
    }
    assert rule(match=match).sql_parameters({"feature": "b", "model": "o3"})["match_feature"] == ["b"]
    assert rule(match=match).admits({"feature": "b", "model": "o3"})
    assert not rule(match=match).admits({"feature": "c"})


SAME = {"period": "week", "match": {"service": ["a", "b"], "model": "GPT-*"}, "per": ["user", "feature"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"limit_usd": 99},
        {"limits": [{"value": {"user": "a", "feature": "b"}, "limit_usd": 1}]},
        {"warn_at": 0.5},
        {"hard": True},
        {"unpriced": "block", "hard": True},
        {"webhooks": "ops"},
        {"match": {"model": "gpt-*", "service": ["b", "a"]}},
    ],
)
def test_what_is_counted_is_the_same(changes: dict[str, Any]) -> None:
    assert rule(**SAME | changes).fingerprint == rule(**SAME).fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"period": "month"},
        {"period": "7d"},
        {"timezone": "Asia/Tokyo"},
        {"week_start": "sunday"},
        {"limit_tokens": 5},
        {"match": {"service": ["a", "b"]}},
        {"match": {"service": ["A", "b"], "model": "GPT-*"}},
        {"match": {"service": ["a", "b"], "model": "GPT-*", "attribute.x": "1"}},
        {"per": ["feature", "user"]},
        {"per": []},
    ],
)
def test_what_is_counted_is_another(changes: dict[str, Any]) -> None:
    assert rule(**SAME | changes).fingerprint != rule(**SAME).fingerprint


def test_the_start_of_months_and_the_length_of_windows_are_counted() -> None:
    months = [rule(period="month", month_day=day).fingerprint for day in (1, 2)]
    windows = [rule(period=length).fingerprint for length in ("24h", "25h")]
    assert len({*months, *windows}) == 4


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    script = (
        "from collector.budgets.rules import Rules; from collector.config import Config; "
        "match = {'service': ['a', 'b'], 'model': 'GPT-*', 'attribute.x': ['1', '2']}; "
        "budget = {'name': 'b', 'limit_usd': 1, 'period': 'day', 'match': match, 'per': 'user'}; "
        "print(Rules.from_config(Config.model_validate({'budgets': [budget]})).rules[0].fingerprint)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = rule(match={"service": ["a", "b"], "model": "GPT-*", "attribute.x": ["1", "2"]}, per="user").fingerprint
    assert found == {here}
    assert len(here) == 32


def test_rules_are_keys_by_name_and_equal_by_what_they_say() -> None:
    one = rule(per="user", limits={"a": 1})
    assert one == rule(per="user", limits={"a": 1})
    assert hash(one) == hash(replace(one, limit=5))
    assert one != replace(one, limit=5)
    assert replace(one, match={"user": ("u1",)}).scope_of(CALL._replace(user="u2")) is None


TEXT = st.text(st.sampled_from("abAB*?[]"), max_size=5)


def simply(pattern: str, model: str) -> bool:
    """What a pattern means, letter by letter."""
    if not pattern:
        return not model
    if pattern[0] == "*":
        return any(simply(pattern[1:], model[at:]) for at in range(len(model) + 1))
    return (
        bool(model) and (pattern[0] == "?" or pattern[0].lower() == model[0].lower()) and simply(pattern[1:], model[1:])
    )


@given(st.lists(TEXT, min_size=1, max_size=3, unique=True), TEXT)
def test_patterns_mean_what_they_say(patterns: list[str], model: str) -> None:
    expected = any(simply(pattern, model) for pattern in patterns)
    assert (rule(match={"model": patterns}).scope_of(Dimensions(model=model)) is not None) == expected
