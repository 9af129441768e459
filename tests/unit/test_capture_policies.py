"""What the policies leave of requests that are odd: nothing can hide where nobody looks."""

from typing import Any

import pytest

from collector.capture import CaptureRules
from collector.config import CaptureConfig
from collector.enrich.conventions.kept import KeptFacts
from collector.model.envelope import Signal
from collector.schema import schema_root
from collector.wire.otlp import REQUESTS
from tests.support.capture import AGENT_KEYS, FAMILIES
from tests.support.otlp import attributes, request, span
from tests.support.signals import log_request, record

SECRET = "jane doe said"
KEEPER = KeptFacts(FAMILIES, schema_root())


def left(signal: Signal, message: Any, **settings: Any) -> Any:
    """What is stored of a request."""
    rules = CaptureRules(CaptureConfig.model_validate(settings), KEEPER, AGENT_KEYS)
    found = rules.apply(signal, "default", message.SerializeToString())
    assert SECRET.encode() not in found.payload
    return REQUESTS[signal].FromString(found.payload)


@pytest.mark.parametrize("settings", [{"default": "metadata"}, {"policies": [{"agent": "a", "policy": "metadata"}]}])
@pytest.mark.parametrize("signal", Signal)
def test_what_has_no_items_is_withheld_too(signal: Signal, settings: dict[str, Any]) -> None:
    message = REQUESTS[signal]()
    of_signal = getattr(message, f"resource_{_WORDS[signal]}").add()
    of_signal.resource.attributes.extend(attributes({"my.own": SECRET, "service.name": "s"}))
    scope = getattr(of_signal, f"scope_{_WORDS[signal]}").add(schema_url=SECRET)
    scope.scope.attributes.extend(attributes({"my.own": SECRET}))
    found = left(signal, message, **settings)
    (kept,) = getattr(found, f"resource_{_WORDS[signal]}")
    assert [pair.key for pair in kept.resource.attributes] == ["service.name"]


_WORDS = {Signal.TRACES: "spans", Signal.LOGS: "logs", Signal.METRICS: "metrics"}


@pytest.mark.parametrize("policy", ["metadata", "off"])
def test_ids_are_ids(policy: str) -> None:
    one = span({"gen_ai.request.model": "gpt-4o"}, parent_span_id=SECRET.encode() * 2)
    one.links.add(trace_id=SECRET.encode(), span_id=SECRET.encode() * 3)
    (kept,) = left(Signal.TRACES, request(one), default=policy).resource_spans[0].scope_spans[0].spans
    assert (kept.trace_id, kept.span_id, kept.parent_span_id) == (one.trace_id, one.span_id, b"")

    written = record("body", trace_id=SECRET.encode() * 2, span_id=SECRET.encode() * 2)
    records = left(Signal.LOGS, log_request(written), default=policy).resource_logs[0].scope_logs[0].log_records
    assert [(each.trace_id, each.span_id) for each in records] == ([(b"", b"")] if policy == "metadata" else [])


def test_what_is_sent_twice_hides_nothing() -> None:
    message = request(span({"my.own": "x"}))
    twice = message.SerializeToString() + request(span({"my.own": SECRET, "output.value": SECRET})).SerializeToString()
    assert len(left(Signal.TRACES, REQUESTS[Signal.TRACES].FromString(twice), default="metadata").resource_spans) == 2
