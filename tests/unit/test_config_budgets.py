"""Settings of budgets: what may be written, and the sentence for every mistake, at its path."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.config import BudgetConfig, Config, load
from collector.errors import ConfigError

GOOD: dict[str, Any] = {"name": "a", "limit_usd": 10, "period": "day"}
UNSET = object()


def written(tmp_path: Path, tree: object) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return path


def mistakes(tmp_path: Path, tree: object) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, tree))
    first, *lines = str(refused.value).splitlines()
    assert first.endswith("cannot be used:")
    return [line.strip() for line in lines]


def budget(**changes: Any) -> dict[str, Any]:
    """A good budget with `changes`; UNSET takes a setting out."""
    return {key: value for key, value in {**GOOD, **changes}.items() if value is not UNSET}


def read(tmp_path: Path, **changes: Any) -> BudgetConfig:
    (found,) = load(written(tmp_path, {"store": {"ttl": 0}, "budgets": [budget(**changes)]})).budgets
    return found


MEGABYTE = "x" * 2**20


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        # names
        ({"name": UNSET}, "budgets.0.name: Field required"),
        ({"name": ""}, "budgets.0.name: String should have at least 1 character"),
        ({"name": "x" * 201}, "budgets.0.name: String should have at most 200 characters"),
        ({"name": MEGABYTE}, "budgets.0.name: String should have at most 200 characters"),
        ({"name": "a\nb"}, "budgets.0.name: 'a\\nb' has characters that do not print, or blanks around it"),
        ({"name": " a"}, "budgets.0.name: ' a' has characters that do not print, or blanks around it"),
        ({"name": 42}, "budgets.0.name: 42 is not text; write it in quotes"),
        # limits
        ({"limit_usd": UNSET}, "budgets.0: a budget needs limit_usd or limit_tokens"),
        ({"limit_tokens": 5}, "budgets.0: limit_usd and limit_tokens are both set; make two budgets of it"),
        ({"limit_usd": 0}, "budgets.0.limit_usd: Input should be greater than 0"),
        ({"limit_usd": -1}, "budgets.0.limit_usd: Input should be greater than 0"),
        ({"limit_usd": float("nan")}, "budgets.0.limit_usd: Input should be a finite number"),
        ({"limit_usd": float("inf")}, "budgets.0.limit_usd: Input should be a finite number"),
        ({"limit_usd": "sNaN"}, "budgets.0.limit_usd: Input should be a finite number"),
        ({"limit_usd": 1_000_000_001}, "budgets.0.limit_usd: Input should be less than or equal to 1000000000"),
        ({"limit_usd": "1e999999"}, "budgets.0.limit_usd: Input should be less than or equal to 1000000000"),
        (
            {"limit_usd": "0.0000000000001"},
            "budgets.0.limit_usd: Decimal input should have no more than 12 decimal places",
        ),
        ({"limit_usd": "$10"}, "budgets.0.limit_usd: Input should be a valid decimal"),
        ({"limit_usd": True}, "budgets.0.limit_usd: True is not a number"),
        ({"limit_usd": [10]}, "budgets.0.limit_usd: [10] is not a number"),
        ({"limit_usd": UNSET, "limit_tokens": 0}, "budgets.0.limit_tokens: Input should be greater than 0"),
        ({"limit_usd": UNSET, "limit_tokens": True}, "budgets.0.limit_tokens: True is not a number"),
        (
            {"limit_usd": UNSET, "limit_tokens": 1.5},
            "budgets.0.limit_tokens: Input should be a valid integer, got a number with a fractional part",
        ),
        # periods
        ({"period": UNSET}, "budgets.0: a budget needs a period (hour, day, week, month, quarter, year), or a rolling"),
        (
            {"period": "fortnight"},
            (
                "budgets.0.period: 'fortnight' is no period: hour, day, week, month, quarter, year, or a rolling window "
                "such as 24h"
            ),
        ),
        ({"period": "monthly"}, "budgets.0.period: 'monthly' is no period; did you mean month?"),
        ({"period": "Day"}, "budgets.0.period: 'Day' is no period; did you mean day?"),
        ({"period": True}, "budgets.0.period: True is not a number"),
        ({"period": "24x"}, "budgets.0.period: '24x' is not a duration; write for example 10s, 5m, 1h30m or 30d"),
        ({"period": "59m"}, "budgets.0.period: '59m' is too short: a rolling window is at least 1h"),
        ({"period": "1h30s"}, "budgets.0.period: '1h30s' is not a whole number of minutes"),
        ({"period": "9" * 400}, "budgets.0.period: "),
        ({"rolling": "24h"}, "budgets.0: period and rolling are both set; make two budgets of it"),
        ({"period": UNSET, "rolling": "day"}, "budgets.0.rolling: 'day' is not a duration; write for example 10s"),
        ({"period": UNSET, "rolling": "30m"}, "budgets.0.rolling: '30m' is too short: a rolling window is at least 1h"),
        ({"period": UNSET, "rolling": float("nan")}, "budgets.0.rolling: nan is too short: a rolling window is"),
        ({"period": UNSET, "rolling": float("inf")}, "budgets.0.rolling: inf is not a whole number of minutes"),
        ({"period": UNSET, "rolling": -7200}, "budgets.0.rolling: -7200 is too short: a rolling window is at least 1h"),
        # time zones
        (
            {"timezone": "America/NewYork"},
            "budgets.0.timezone: 'America/NewYork' is no IANA time zone; did you mean America/New_York?",
        ),
        (
            {"timezone": "europe/berlin"},
            "budgets.0.timezone: 'europe/berlin' is no IANA time zone; did you mean Europe/Berlin?",
        ),
        ({"timezone": "../../etc/passwd"}, "budgets.0.timezone: '../../etc/passwd' is no IANA time zone, for example"),
        ({"timezone": "/etc/passwd"}, "budgets.0.timezone: '/etc/passwd' is no IANA time zone, for example"),
        ({"timezone": "Europe"}, "budgets.0.timezone: 'Europe' is no IANA time zone"),
        ({"timezone": ""}, "budgets.0.timezone: '' is no IANA time zone, for example Europe/Berlin or UTC"),
        ({"timezone": "localtime"}, "budgets.0.timezone: 'localtime' is no IANA time zone"),
        ({"timezone": "right/UTC"}, "budgets.0.timezone: 'right/UTC' is no IANA time zone"),
        ({"timezone": "tzdata.zi"}, "budgets.0.timezone: 'tzdata.zi' is no IANA time zone"),
        ({"timezone": "UTC\0"}, "budgets.0.timezone: 'UTC\\x00' is no IANA time zone"),
        ({"timezone": MEGABYTE}, "budgets.0.timezone: 'xxxxxxxxxx"),
        ({"timezone": 2}, "budgets.0.timezone: 2 is not text; write it in quotes"),
        # where periods start
        (
            {"period": "week", "week_start": "mondey"},
            "budgets.0.week_start: 'mondey' is no day of the week; did you mean monday?",
        ),
        ({"period": "week", "week_start": 1}, "budgets.0.week_start: 1 is no day of the week; known here: friday, mon"),
        ({"week_start": "sunday"}, "budgets.0.week_start: only a budget whose period is week has it"),
        ({"month_day": 31}, "budgets.0.month_day: 31 is not a day from 1 to 28, which every month has"),
        ({"month_day": 0}, "budgets.0.month_day: 0 is not a day from 1 to 28, which every month has"),
        ({"month_day": True}, "budgets.0.month_day: True is not a day from 1 to 28, which every month has"),
        ({"month_day": "1st"}, "budgets.0.month_day: '1st' is not a day from 1 to 28, which every month has"),
        ({"month_day": 15}, "budgets.0.month_day: only a budget whose period is month, quarter or year has it"),
        # match
        (
            {"match": {"servce": "x"}},
            "budgets.0.match.servce: 'servce' is nothing to match by; did you mean service?",
        ),
        (
            {"match": {"zz": "x"}},
            (
                "budgets.0.match.zz: 'zz' is nothing to match by; known here: agent, attribute.KEY, conversation, "
                "environment, feature, model, project, provider, purpose, service, user"
            ),
        ),
        ({"match": {"attribute": "x"}}, "budgets.0.match.attribute: 'attribute' is nothing to match by; did you mean"),
        ({"match": {"attribute.": "x"}}, "budgets.0.match.attribute.: 'attribute.' needs a key of 1 to 200 characters"),
        (
            {"per": "attribute.a\r\nb"},
            "budgets.0.per.0: 'a\\r\\nb' has characters that do not print, or blanks around it",
        ),
        ({"match": {MEGABYTE: "x"}}, "budgets.0.match.'xxxxxx"),
        ({"match": {1: "x"}}, "budgets.0.match.1: 1 is not text; write it in quotes"),
        ({"match": {"user": 42}}, "budgets.0.match.user.0: 42 is not text; write it in quotes"),
        ({"match": {"user": None}}, "budgets.0.match.user: takes a list, as [a, b] or lines that begin with a dash"),
        ({"match": {"user": {"a": 1}}}, "budgets.0.match.user: takes a list, as [a, b] or lines that begin"),
        ({"match": {"user": []}}, "budgets.0.match.user: Value should have at least 1 item after validation, not 0"),
        ({"match": {"user": ["a", "a"]}}, "budgets.0.match.user: 'a' is written twice"),
        ({"match": {"user": "u" * 201}}, "is longer than the 200 characters by which values are compared"),
        ({"match": ["service"]}, "budgets.0.match: takes a mapping, as lines `key: value`"),
        ({"match": "service"}, "budgets.0.match: takes a mapping, as lines `key: value`"),
        # per
        ({"per": ["feture"]}, "budgets.0.per.0: 'feture' is nothing to match by; did you mean feature?"),
        ({"per": ["feature", "feature"]}, "budgets.0.per: 'feature' is written twice"),
        ({"per": {"feature": 1}}, "budgets.0.per: takes a list, as [a, b] or lines that begin with a dash"),
        ({"per": [["feature"]]}, "budgets.0.per.0: ['feature'] is not text; write it in quotes"),
        # limits of single values
        ({"limits": {"a": 1}}, "budgets.0.limits: limits are of values of `per`, which is not set"),
        ({"per": ["user"], "limits": {"a": -1}}, "budgets.0.limits.a: Input should be greater than 0"),
        ({"per": ["user"], "limits": {"a": "x"}}, "budgets.0.limits.a: Input should be a valid decimal"),
        ({"per": ["user"], "limits": {42: 1}}, "budgets.0.limits.42: 42 is not text; write it in quotes"),
        ({"per": ["user"], "limits": 5}, "budgets.0.limits: takes a mapping, as lines `key: value`"),
        (
            {"per": ["user", "feature"], "limits": {"a": 1}},
            (
                "budgets.0.limits: `per` has several names; write a list: [{value: {user: ..., feature: ...}, "
                "limit_usd: ...}]"
            ),
        ),
        (
            {"limit_usd": UNSET, "limit_tokens": 9, "per": ["user"], "limits": {"a": 1.5}},
            "budgets.0.limits.'a': 1.5 is not a whole number of tokens",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"feature": "a"}, "limit_usd": 1}]},
            "budgets.0.limits.0.value: needs a value for exactly the names of `per`: user",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"usr": "a"}, "limit_usd": 1}]},
            "budgets.0.limits.0.value.usr: 'usr' is nothing to match by; did you mean user?",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"user": "a"}, "limit_usdd": 1}]},
            "budgets.0.limits.0.limit_usdd: unknown setting; did you mean limit_usd?",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"user": "a"}, "limit_tokens": 1}]},
            "budgets.0.limits.0: needs limit_usd and nothing else, as the budget has it",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"user": "a"}}]},
            "budgets.0.limits.0: needs limit_usd and nothing else, as the budget has it",
        ),
        (
            {"per": ["user"], "limits": [{"value": {"user": "a"}, "limit_usd": 1}] * 2},
            "budgets.0.limits.1: 'a' has a limit already",
        ),
        # thresholds
        (
            {"warn_at": 80},
            "budgets.0.warn_at.0: 80 is not a fraction between 0 and 1; 0.8 warns at 80 % of the limit",
        ),
        ({"warn_at": [0.5, 1]}, "budgets.0.warn_at.1: 1 is not a fraction between 0 and 1"),
        ({"warn_at": [0]}, "budgets.0.warn_at.0: 0 is not a fraction between 0 and 1"),
        ({"warn_at": [-0.1]}, "budgets.0.warn_at.0: -0.1 is not a fraction between 0 and 1"),
        ({"warn_at": ["80%"]}, "budgets.0.warn_at.0: '80%' is not a fraction between 0 and 1"),
        ({"warn_at": [float("nan")]}, "budgets.0.warn_at.0: nan is not a fraction between 0 and 1"),
        ({"warn_at": [True]}, "budgets.0.warn_at.0: True is not a number"),
        ({"warn_at": ["0." + "1" * 10**6]}, "is not a fraction between 0 and 1"),
        ({"warn_at": [0.8, "0.80"]}, "budgets.0.warn_at: '0.8' is written twice"),
        ({"warn_at": None}, "budgets.0.warn_at: takes a list, as [a, b] or lines that begin with a dash"),
        ({"warn_at": [n / 1000 for n in range(1, 102)]}, "budgets.0.warn_at: Value should have at most 100 items"),
        # the rest
        ({"hard": "perhaps"}, "budgets.0.hard: Input should be a valid boolean, unable to interpret input"),
        ({"unpriced": "stop"}, "budgets.0.unpriced: Input should be 'ignore', 'warn' or 'block'"),
        (
            {"unpriced": "block"},
            "budgets.0.unpriced: only a budget with hard: true blocks anything; write warn, or make it hard",
        ),
        ({"limit": 5}, "budgets.0.limit: unknown setting; did you mean limits?"),
        ({"treshold": 5}, "budgets.0.treshold: unknown setting"),
        ({"webhooks": ["ops", "ops"]}, "budgets.0.webhooks: 'ops' is written twice"),
        ({"webhooks": ["opps"]}, "budgets.0.webhooks: 'opps' is not in webhooks; did you mean ops?"),
        ({"webhooks": ["zz"]}, "budgets.0.webhooks: 'zz' is not in webhooks; known here: ops"),
        # the store forgets what the ledger would be rebuilt from
        (
            {"period": "quarter"},
            (
                "budgets.0.period: quarter lasts up to 93 days, and store.ttl deletes spans after 35: the ledger is "
                "rebuilt from stored spans. Set store.ttl to 93d or more, or to 0s, which keeps them for ever"
            ),
        ),
        ({"period": "36d"}, "budgets.0.period: 36d lasts up to 36 days, and store.ttl deletes spans after 35: the led"),
        ({"period": UNSET, "rolling": "5w1h"}, "budgets.0.rolling: 841h lasts up to 36 days, and store.ttl deletes"),
    ],
)
def test_a_mistake_has_its_sentence_at_its_path(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    webhooks = {"ops": {"url": "https://hooks.example.com/", "secret": "0123456789abcdef"}}
    (line,) = mistakes(tmp_path, {"webhooks": webhooks, "budgets": [budget(**changes)]})
    assert sentence in line
    assert len(line) < 400


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        ({"budgets": {"a": GOOD}}, "budgets: takes a list, as [a, b] or lines that begin with a dash"),
        ({"budgets": "a"}, "budgets: takes a list, as [a, b] or lines that begin with a dash"),
        ({"budgets": ["a"]}, "budgets.0: takes settings, as lines `key: value`"),
        ({"budgets": [None]}, "budgets.0: takes settings, as lines `key: value`"),
        ({"budget": [GOOD]}, "budget: unknown setting; did you mean budgets?"),
        ({"budgets": [GOOD, budget(name="A"), GOOD]}, "budgets.2.name: 'a' is the name of budgets.0 already"),
        (
            {"budgets": [budget(webhooks=["ops"])]},
            "budgets.0.webhooks: 'ops' is not in webhooks",
        ),
        (
            {"store": {"ttl": "20d"}, "budgets": [budget(period="month")]},
            (
                "budgets.0.period: month lasts up to 32 days, and store.ttl deletes spans after 20: the ledger is rebuilt "
                "from stored spans. Set store.ttl to 32d or more, or to 0s, which keeps them for ever"
            ),
        ),
        ({"enforcement": {"fail": "shut"}}, "enforcement.fail: Input should be 'open' or 'closed'"),
        ({"enforcement": {"lease_ttl": "0s"}}, "enforcement.lease_ttl: Input should be greater than or equal to 1"),
        ({"enforcement": {"lease_ttl": "25h"}}, "enforcement: lease_ttl is longer than max_lease_ttl"),
        ({"enforcement": []}, "enforcement: takes settings, as lines `key: value`"),
        ({"ledger": {"max_values": 0}}, "ledger.max_values: Input should be greater than or equal to 1"),
        (
            {"ledger": {"reconcile_intervall": "1m"}},
            "ledger.reconcile_intervall: unknown setting; did you mean reconci",
        ),
        ({"ledger": {"reconcile_interval": "0s"}}, "ledger.reconcile_interval: Input should be greater than or equal"),
    ],
)
def test_mistakes_beside_single_budgets(tmp_path: Path, tree: object, sentence: str) -> None:
    (line,) = mistakes(tmp_path, tree)
    assert line.startswith(sentence)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    tree = {"budgets": [budget(timezone="Mars/Base", period="fortnight"), budget(warn_at=8), budget(limit_usd=UNSET)]}
    paths = [line.partition(":")[0] for line in mistakes(tmp_path, tree)]
    assert paths == ["budgets.0.period", "budgets.0.timezone", "budgets.1.warn_at.0", "budgets.2"]
    several = {"store": {"ttl": "2d"}, "budgets": [budget(period="week"), budget(webhooks=["x", "y"])]}
    assert len(mistakes(tmp_path, several)) == 4  # the period, the name that is there already, two webhooks


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "budgets:\n  - name: a\n    limit_usd: 1\n    limit_usd: 2\n",
            "'limit_usd' is written twice in line 4, column 5.",
        ),
        ("budgets: []\nbudgets: []\n", "'budgets' is written twice in line 2, column 1."),
        ("budgets:\n\t- name: a\n", "found character '\\t' that cannot start any token in line 2, column 1."),
        ("budgets: [{name: a]\n", "expected ',' or '}', but got ']' in line 1, column 19."),
        ("budgets: &a [*a]\n", "cannot be read: it nests too deeply, or refers to itself."),
        ("budgets: " + "[" * 5000, "cannot be read: it nests too deeply, or refers to itself."),
        ("budgets: [{limit_usd: " + "9" * 5000 + "}]", "is not YAML: Exceeds the limit"),
        ("budgets: [{name: 2026-13-01}]", "is not YAML: month must be in 1..12."),
        ("budgets: !!python/object:os.system {}", "is not YAML: could not determine a constructor for the tag"),
        ("? [a]\n: 1\n", "is not YAML: found unhashable key in line 1, column 3."),
    ],
)
def test_files_that_are_no_yaml(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert sentence in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_that_stands_in_for_another_is_no_repetition(tmp_path: Path) -> None:
    text = "budgets:\n  - &a {name: a, limit_usd: 1, period: day}\n  - {<<: *a, name: b, limit_usd: 2}\n"
    assert [(one.name, int(one.limit)) for one in load(written(tmp_path, text)).budgets] == [("a", 1), ("b", 2)]


def test_a_whole_budget(tmp_path: Path) -> None:
    tree = """
webhooks:
  ops: {url: https://hooks.example.com/spend, secret: 0123456789abcdef}
budgets:
  - name: support-month
    limit_usd: 1000
    period: month
    timezone: America/New_York
    match: {service: support-agent, model: "gpt-*", attribute.team: [a, b]}
    per: [feature]
    limits: {checkout: 50}
    warn_at: [0.5, 0.8]
    hard: true
    webhooks: [ops]
"""
    (found,) = load(written(tmp_path, tree)).budgets
    assert found.match == {"service": ("support-agent",), "model": ("gpt-*",), "attribute.team": ("a", "b")}
    assert found.limit == 1000
    assert found.value_limits == {("checkout",): Decimal(50)}
    assert (found.warn_at, found.hard, found.unpriced) == ((Decimal("0.5"), Decimal("0.8")), True, "warn")
    assert (found.per, found.webhooks, found.month_day, found.week_start) == (("feature",), ("ops",), 1, "monday")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"period": "24h"}, ("24h", 86_400)),
        ({"period": UNSET, "rolling": "24h"}, ("24h", 86_400)),
        ({"period": UNSET, "rolling": 86_400}, ("24h", 86_400)),
        ({"period": "1d"}, ("24h", 86_400)),
        ({"period": "30d"}, ("30d", 2_592_000)),
        ({"period": "36h"}, ("36h", 129_600)),
        ({"period": "90m"}, ("90m", 5_400)),
        ({"period": "1h"}, ("1h", 3_600)),
        ({"period": "day"}, ("day", None)),
        ({"period": "year", "month_day": 6}, ("year", None)),
        ({"period": "week", "week_start": "Sunday"}, ("week", None)),
    ],
)
def test_periods_and_windows(tmp_path: Path, changes: dict[str, Any], expected: tuple[str, float | None]) -> None:
    found = read(tmp_path, **changes)
    assert (found.period_name, found.window) == expected


def test_one_may_stand_for_a_list(tmp_path: Path) -> None:
    found = read(tmp_path, per="user", warn_at=0.9, match={"model": "x"}, timezone="Asia/Kathmandu")
    assert (found.per, found.warn_at, found.match) == (("user",), (Decimal("0.9"),), {"model": ("x",)})
    assert read(tmp_path, warn_at=[]).warn_at == ()
    assert read(tmp_path).warn_at == (Decimal("0.8"),)
    assert read(tmp_path, match=None, per=None, limits=None, webhooks=None) == read(tmp_path)


def test_amounts_are_exact(tmp_path: Path) -> None:
    assert read(tmp_path, limit_usd=0.1).limit == Decimal("0.1")
    assert read(tmp_path, limit_usd="0.000000000001").limit == Decimal("0.000000000001")
    assert read(tmp_path, limit_usd=1_000_000_000).limit == 10**9
    assert read(tmp_path, limit_usd=UNSET, limit_tokens=10**18).limit == 10**18


def test_limits_of_combinations(tmp_path: Path) -> None:
    limits = [
        {"value": {"user": "u", "feature": "f"}, "limit_usd": 1.5},
        {"value": {"feature": "g", "user": "u"}, "limit_usd": 2},
    ]
    found = read(tmp_path, per=["feature", "user"], limits=limits)
    assert found.value_limits == {("f", "u"): Decimal("1.5"), ("g", "u"): 2}
    one = read(tmp_path, per="user", limits=[{"value": {"user": "u"}, "limit_usd": 3}])
    assert one.value_limits == read(tmp_path, per="user", limits={"u": 3}).value_limits == {("u",): 3}
    tokens = {"limit_usd": UNSET, "limit_tokens": 9, "per": "user"}
    assert read(tmp_path, **tokens, limits={"u": 7}).value_limits == {("u",): 7}
    assert read(tmp_path, **tokens, limits=[{"value": {"user": "u"}, "limit_tokens": 7}]).value_limits == {("u",): 7}


def test_defaults() -> None:
    config = Config()
    assert (config.budgets, config.webhooks) == ((), {})
    assert (config.enforcement.fail, config.enforcement.lease_ttl, config.enforcement.max_lease_ttl) == (
        "open",
        900,
        86_400,
    )
    assert (config.ledger.reconcile_interval, config.ledger.max_values) == (600, 500_000)
    month = BudgetConfig.model_validate({"name": "m", "limit_usd": 1, "period": "month"})
    assert month.max_seconds <= config.store.ttl == 35 * 86_400


def test_left_empty_is_none(tmp_path: Path) -> None:
    assert load(written(tmp_path, "budgets:\nwebhooks:\nenforcement:\nledger:\n")) == Config()


def test_check_config_shows_what_budgets_come_to(tmp_path: Path) -> None:
    tree = {
        "webhooks": {"ops": {"url": "https://hooks.example.com/token-in-path", "secret": "0123456789abcdef"}},
        "budgets": [
            budget(
                name="support",
                limit_usd=1000.5,
                period="month",
                match={"model": ["gpt-*", "o?"]},
                per="feature",
                limits={"x": 1},
                warn_at=[0.8, 0.5],
                hard=True,
                webhooks="ops",
                timezone="Europe/Berlin",
            ),
            {"name": "all", "limit_tokens": 5_000_000, "rolling": "24h", "warn_at": []},
        ],
    }
    command = [sys.executable, "-m", "collector", "check-config", "--config", str(written(tmp_path, tree))]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.splitlines()[1:] == [
        "Budgets:",
        (
            "  support: 1,000.5 USD a month (Europe/Berlin) for each feature; model 'gpt-*' or 'o?'; "
            "limits of their own: 1; warns at 50 %, 80 %; refuses runs beyond it; notifies ops"
        ),
        "  all: 5,000,000 tokens in any 24h",
        "Webhooks:",
        "  ops: https://hooks.example.com, standard",
    ]
    assert "token-in-path" not in told
