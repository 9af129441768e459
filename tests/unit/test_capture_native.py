"""Capture on the bytes of requests, natively: what the protobuf library would make of them, for whatever is sent."""

import json
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.capture import CaptureRules
from collector.config import CaptureConfig
from collector.enrich.conventions.kept import KeptFacts
from collector.model.capture import POLICY_ATTRIBUTE
from collector.model.envelope import Signal
from collector.schema import schema_root
from tests.support import captured, generated, odd
from tests.support.capture import AGENT_KEYS, FAMILIES, check_capture, needs_native
from tests.support.sessions import ROOT, requests

pytestmark = needs_native

SESSIONS = tuple(sorted(path.name for path in ROOT.iterdir() if path.is_dir()))
KEEPER = KeptFacts(FAMILIES, schema_root(), ["team"])
AGENTS = [
    {"service": "desk", "agent": "doctor*", "policy": "metadata"},
    {"service": "desk", "agent": ["nurse"], "policy": "off"},
    {"service": ["mute", ""], "policy": "off"},
    {"service": "open", "policy": "full"},
]
REDACT = [
    {"builtin": "email", "action": "hash"},
    {"builtin": "api_keys"},
    {"builtin": "card_numbers"},
    {"name": "digits", "pattern": r"\b\d{8,10}\b"},
    {"name": "word", "pattern": "(?i)secret"},
    {"name": "anywhere", "pattern": r"x\s+y"},
]
SETTINGS: dict[str, dict[str, Any]] = {
    "metadata": {"default": "metadata"},
    "off": {"default": "off"},
    "by agent": {"policies": AGENTS, "default": "metadata"},
    "rules": {"redact": REDACT},
    "rules and keys": {"redact": [*REDACT, {"name": "person", "keys": ["user.*", "error"]}]},
    "parts of keys": {"redact": [*REDACT, {"name": "part", "keys": "my.own", "pattern": "e+"}]},
    "whole texts": {"redact": [*REDACT, {"name": "z", "pattern": r"\Ay+\z"}]},
    "metadata and rules": {"default": "metadata", "redact": REDACT},
}
KEYS = (
    "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.input.messages", "output.value", "llm.token_count.prompt",
    "service.name", "gen_ai.agent.name", "event.name", "error", "error_message", "url.full", "user.id", "team", "my.own",
    "metadata", "service.version", POLICY_ATTRIBUTE,
)  # fmt: skip
TEXTS = (
    "gpt-4o", "desk", "mute", "open", "doctor-7", "nurse", "api_request", "jane@example.com", "x" * 300, "\u00e9" * 200,
    "4111 1111 1111 1111", " [1]", '{"usage": {"prompt_tokens": 3, "note": "a secret"}, "id": "c-1"}', "\u00a0[2]",
    '{"to":"jane\\u0040example.com","n":"\\ud83d\\ude00 \\\\u0073ecret"}', json.dumps(json.dumps(["a \n jane@b.org"])),
    "https://api.example.com/v1?key=secret", "x\ny", "y" * 9, "trailing \\", "\\q \\u12 \\",
)  # fmt: skip
NAMES = (
    "claude_code.api_request", "codex.api_request", "exception", "gen_ai.choice", "chat gpt-4o", "said x", "n" * 300,
    "\u00e9" * 20, "https://opentelemetry.io/schemas/1.37.0", "https://opentelemetry.io/schemas/" + "x" * 60,
)  # fmt: skip


def rules_of(setting: str) -> CaptureRules:
    config = CaptureConfig.model_validate({**SETTINGS[setting], "hash_key": "a secret of sixteen"})
    return CaptureRules(config, KEEPER, AGENT_KEYS)


@pytest.fixture(scope="module", params=SETTINGS)
def rules(request: pytest.FixtureRequest) -> CaptureRules:
    return rules_of(request.param)


def telling(message: Any, random: Random) -> Any:
    """The message with names and texts that policies and rules know."""
    for field, value in message.ListFields():
        if field.message_type:
            for inner in value if field.is_repeated else (value,):
                telling(inner, random)
        elif field.name == "key":
            message.key = random.choice(KEYS)
        elif field.name in ("name", "event_name", "severity_text", "schema_url") and random.random() < 0.5:
            setattr(message, field.name, random.choice(NAMES))
        elif field.name == "string_value" and random.random() < 0.7:
            message.string_value = random.choice(TEXTS)
    return message


@settings(max_examples=40)
@given(message=generated.requests, random=st.randoms(use_true_random=False))
def test_spans(rules: CaptureRules, message: Any, random: Random) -> None:
    check_capture(rules, Signal.TRACES, telling(message, random).SerializeToString())


@settings(max_examples=40)
@given(message=generated.log_requests, random=st.randoms(use_true_random=False))
def test_log_records(rules: CaptureRules, message: Any, random: Random) -> None:
    check_capture(rules, Signal.LOGS, telling(message, random).SerializeToString())


@settings(max_examples=40)
@given(message=generated.metric_requests, random=st.randoms(use_true_random=False))
def test_points(rules: CaptureRules, message: Any, random: Random) -> None:
    check_capture(rules, Signal.METRICS, telling(message, random).SerializeToString())


def _odd_bodies() -> Iterator[bytes]:
    random = Random(17)
    for _ in range(300):
        body = odd.request(random)
        yield body
        yield odd.damaged(random, body)


def test_odd_requests(rules: CaptureRules) -> None:
    assert sum(bool(check_capture(rules, Signal.TRACES, body)) for body in _odd_bodies()) > 20


@pytest.mark.parametrize("setting", ["off", "metadata and rules", "rules and keys"])
def test_what_libraries_send_is_taken(setting: str) -> None:
    applied = rules_of(setting)
    for case in captured.CASES:
        for payload in islice(captured.payloads(case), 2):
            assert check_capture(applied, Signal.TRACES, payload), case


def test_what_agents_send_is_taken() -> None:
    applied = rules_of("metadata")
    for case in SESSIONS:
        for one in requests(case)[:4]:
            assert check_capture(applied, one.signal, one.payload) is (one.signal is not Signal.METRICS), case
