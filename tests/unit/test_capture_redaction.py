"""Redaction rules: what they find, wherever and however it is written, and how mistakes in them are told."""

import json
from collections import Counter
from typing import Any

import pytest

from collector.capture import NATIVE, CaptureRules
from collector.config import CaptureConfig
from collector.config.load import load
from collector.enrich.conventions.kept import KeptFacts
from collector.errors import ConfigError, Reason, Rejected, Unavailable
from collector.model.envelope import Signal
from collector.schema import schema_root
from collector.wire.otlp import REQUESTS
from tests.support.capture import AGENT_KEYS, FAMILIES, capture, check_capture
from tests.support.otlp import plain_of, request, span

KEEPER = KeptFacts(FAMILIES, schema_root())
SECRET = "a secret of sixteen"


def rules(*redact: dict[str, Any], **more: Any) -> CaptureRules:
    return CaptureRules(CaptureConfig.model_validate({"redact": redact, **more}), KEEPER, AGENT_KEYS)


def after(applied: CaptureRules, value: Any, key: str = "my.own") -> tuple[Any, Counter[str]]:
    """What becomes of the value of an attribute."""
    body = request(span({key: value})).SerializeToString()
    found = applied.apply(Signal.TRACES, "default", body)
    if NATIVE:
        check_capture(applied, Signal.TRACES, body)
    (pair,) = REQUESTS[Signal.TRACES].FromString(found.payload).resource_spans[0].scope_spans[0].spans[0].attributes
    return plain_of(pair.value), found.redacted


@pytest.mark.parametrize(
    ("builtin", "text", "expected"),
    [
        ("email", "write to jane.doe+x@mail.example.com.", "write to [redacted:email]."),
        ("email", "a@b and @c.d", None),
        ("api_keys", "key=sk-ant-api03-abcdefghijklmnop_q", "key=[redacted:api_keys]"),
        ("api_keys", "AKIAIOSFODNN7EXAMPLE", "[redacted:api_keys]"),
        (
            "api_keys",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
            "[redacted:api_keys]",
        ),
        ("api_keys", "risk-taking is fine", None),
        ("bearer_tokens", "authorization: Bearer abc.def-ghi~", "authorization: [redacted:bearer_tokens]"),
        ("bearer_tokens", "eyJhbGciOi.eyJzdWIiOi.c2ln", "[redacted:bearer_tokens]"),
        ("card_numbers", "4111 1111 1111 1111 12/29", "[redacted:card_numbers] 12/29"),
        ("card_numbers", "no 4111-1111-1111-1111, ok", "no [redacted:card_numbers], ok"),
        ("card_numbers", "12 378282246310005", "12 [redacted:card_numbers]"),
        ("card_numbers", "4111 1111 1111 1112", None),
        ("card_numbers", "1700000000000000000", None),
        ("card_numbers", 4111111111111111, "[redacted:card_numbers]"),
    ],
)
def test_built_in_rules(builtin: str, text: Any, expected: str | None) -> None:
    found, counts = after(rules({"builtin": builtin}), text)
    assert found == (text if expected is None else expected)
    assert counts == ({} if expected is None else {builtin: 1})


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04X}" for one in text)


@pytest.mark.parametrize(
    "text",
    [
        '{"to":"' + escaped("jane@example.com") + '"}',
        json.dumps({"arguments": '{"to":"' + escaped("jane@example.com") + '"}'}),
        json.dumps([json.dumps([json.dumps(["\u00e9 jane@example.com"])])]),
        '{"to":"jane\\u0040example.com"',
    ],
)
def test_escapes_hide_nothing(text: str) -> None:
    found, counts = after(rules({"builtin": "email"}), text)
    assert counts == {"email": 1}
    assert "[redacted:email]" in found
    if text.endswith(("}", "]")):
        json.loads(found)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("$.a.b", {"a": {"b": 1, "c": 2}}, {"a": {"b": "[redacted:r]", "c": 2}}),
        ("a[*].b", {"a": [{"b": 1}, {"b": "x"}]}, {"a": [{"b": "[redacted:r]"}, {"b": "[redacted:r]"}]}),
        ("a[1]", {"a": [1, 2]}, {"a": [1, "[redacted:r]"]}),
        ("$..pw", {"x": [{"pw": 1, "y": {"pw": 2}}]}, {"x": [{"pw": "[redacted:r]", "y": {"pw": "[redacted:r]"}}]}),
        ("arguments.pw", {"arguments": '{"pw": "x"}'}, {"arguments": '{"pw": "[redacted:r]"}'}),
        ("a.b", {"a": 1}, {"a": 1}),
    ],
)
def test_paths_within_json(path: str, value: Any, expected: Any) -> None:
    applied = rules({"name": "r", "json_path": path})
    found, _ = after(applied, json.dumps(value))
    assert json.loads(found) == expected
    nested, _ = after(applied, value)
    assert nested == expected


def test_json_that_was_cut_is_replaced_as_a_whole() -> None:
    applied = rules({"name": "r", "json_path": "$..pw"})
    assert after(applied, '{"pw": "x", "and": "cu')[0] == "[redacted:r]"
    assert after(applied, '{"other": "x", "and": "cu')[0] == '{"other": "x", "and": "cu'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a": {"pw": "x"}, "a": 1}', "[redacted:r]"),
        (json.dumps(json.dumps({"pw": "x"})), json.dumps('{"pw": "[redacted:r]"}')),
        ('"words with pw"', '"words with pw"'),
        ('\ufeff {"pw": "x"}', '{"pw": "[redacted:r]"}'),
        (b'{"pw": "x"}', b'{"pw": "[redacted:r]"}'),
        (b"\xff pw", b"\xff pw"),
    ],
)
def test_paths_within_json_that_few_write(value: Any, expected: Any) -> None:
    assert after(rules({"name": "r", "json_path": "$..pw"}), value)[0] == expected


def test_paths_hold_for_names_and_messages() -> None:
    told = json.dumps({"pw": "x"})
    sent = request(span({}))
    (one,) = sent.resource_spans[0].scope_spans[0].spans
    one.name = one.status.message = one.events.add().name = told
    found = rules({"name": "r", "json_path": "$..pw"}).apply(Signal.TRACES, "default", sent.SerializeToString())
    (left,) = REQUESTS[Signal.TRACES].FromString(found.payload).resource_spans[0].scope_spans[0].spans
    assert {left.name, left.status.message, left.events[0].name} == {'{"pw": "[redacted:r]"}'}


def test_keys_alone_are_for_whole_values() -> None:
    applied = rules({"name": "own", "keys": ["my.*"]}, {"name": "digits", "keys": "their", "pattern": r"\d+"})
    assert after(applied, {"a": [1, 2]})[0] == "[redacted:own]"
    assert after(applied, "a 1 b 22", "their")[0] == "a [redacted:digits] b [redacted:digits]"
    assert after(applied, "a 1", "else")[0] == "a 1"


def test_hashes_join_what_is_equal() -> None:
    applied = rules({"builtin": "email", "action": "hash"}, hash_key=SECRET)
    plain, _ = after(applied, "jane@example.com")
    hidden, _ = after(applied, '["' + escaped("jane@example.com") + '"]')
    assert hidden == f'["{plain}"]'
    assert after(applied, "joan@example.com")[0] != plain
    assert after(rules({"builtin": "email", "action": "hash"}, hash_key=SECRET + "!"), "jane@example.com")[0] != plain


def test_anchors_are_those_of_each_text() -> None:
    applied = rules({"name": "r", "pattern": r"^x+$"}, {"name": "z", "pattern": r"\Ay+\z"})
    assert after(applied, ["xx", "axx", "yy", "y\ny"])[0] == ["[redacted:r]", "axx", "[redacted:z]", "y\ny"]


def test_groups_of_one_name_in_two_rules_are_two() -> None:
    applied = rules({"name": "a", "pattern": "(?P<n>aa)"}, {"name": "b", "pattern": "(?P<n>bb)"})
    assert after(applied, ["aa", "b", "bb"])[0] == ["[redacted:a]", "b", "[redacted:b]"]


def test_a_match_across_texts_hides_none() -> None:
    applied = rules({"name": "gap", "pattern": r"a\s+b"}, {"name": "end", "pattern": r"bc$"})
    assert after(applied, ["a", "bc", "a b", "c"])[0] == ["a", "[redacted:end]", "[redacted:gap]", "c"]


def test_counts_of_calls_are_no_texts() -> None:
    applied = rules({"name": "digits", "pattern": r"\d{8,}"})
    assert after(applied, 123456789, "gen_ai.usage.input_tokens")[0] == 123456789
    assert after(applied, 123456789)[0] == "[redacted:digits]"


def test_many_matches_are_refused() -> None:
    applied = rules({"name": "a", "pattern": "a"})
    with pytest.raises(Rejected) as refused:
        after(applied, "a" * 150_000)
    assert refused.value.reason is Reason.TOO_LARGE
    assert "capture.redact" in str(refused.value)


def test_what_fails_is_refused_and_not_told() -> None:
    class Broken(KeptFacts):
        def kept(self, *_: object) -> Any:
            raise KeyError("jane@example.com")

    policies = capture(CaptureConfig(default="metadata"))
    policies._in_force = CaptureRules(CaptureConfig(default="metadata"), Broken(FAMILIES, schema_root()), AGENT_KEYS)
    with pytest.raises(Unavailable) as refused:
        policies.apply(Signal.TRACES, "default", request(span({"a": "jane@example.com"})).SerializeToString())
    assert refused.value.reason is Reason.CAPTURE
    assert "jane" not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"redact": [{"name": "x", "pattern": "(a"}]}, "'(a' is no regular expression of RE2"),
        ({"redact": [{"name": "x", "pattern": "a*"}]}, "'a*' matches the empty text"),
        ({"redact": [{"name": "x", "pattern": "a", "builtin": "email"}]}, "has builtin and pattern"),
        ({"redact": [{"name": "x"}]}, "the rule says nothing"),
        ({"redact": [{"pattern": "a"}]}, "the rule needs a name"),
        ({"redact": [{"name": "x", "json_path": "a[1"}]}, "'a[1' is no path"),
        ({"redact": [{"name": "x", "json_path": "$.a[?(@.b)]"}]}, "'$.a[?(@.b)]' is no path"),
        ({"redact": [{"name": "x", "json_path": "$.a*"}]}, "'$.a*' is no path"),
        ({"redact": [{"name": "x", "keys": ["*.mail"]}]}, "redact.0.keys.0: '*.mail': `*` stands at the end only"),
        ({"keep": ["*.x"]}, "keep.0: '*.x': `*` stands at the end only"),
        ({"policies": [{"policy": "metadata"}, {"service": "a", "policy": "full"}]}, "policies.0: it matches every"),
        ({"redact": [{"builtin": "email", "action": "hash"}]}, "needs a secret of 16 characters"),
        ({"redact": [{"builtin": "email"}, {"builtin": "email"}]}, "'email' is the name of redact.0 already"),
        ({"default": "non"}, "capture.default"),
        ({"policies": [{"policy": "full", "servise": "x"}]}, "servise"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Any, setting: Any, sentence: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"capture": setting}))
    with pytest.raises(ConfigError) as refused:
        load(config)
    assert sentence in str(refused.value)
