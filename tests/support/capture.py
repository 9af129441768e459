"""Capture policies for tests."""

import pytest
from prometheus_client import CollectorRegistry

from collector.admit.limits import RequestLimits
from collector.admit.validate import validate
from collector.capture import NATIVE, Capture, CaptureRules
from collector.config import CaptureConfig
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.errors import Rejected
from collector.model.envelope import Encoding, Signal
from collector.schema import schema_root
from collector.telemetry import Metrics
from collector.wire.otlp import REQUESTS, parse_checked

FAMILIES = load(schema_root()).families
AGENT_KEYS = agent_keys(FAMILIES)


def capture(config: CaptureConfig) -> Capture:
    """What a daemon with these settings would do."""
    return Capture(
        config, lambda: (KeptFacts(FAMILIES, schema_root(), config.keep), AGENT_KEYS), Metrics(CollectorRegistry())
    )


WITHHOLDS_NOTHING = capture(CaptureConfig())

needs_native = pytest.mark.skipif(not NATIVE, reason="the native module was not compiled")


def check_capture(rules: CaptureRules, signal: Signal, body: bytes) -> bool | None:
    """Both ways leave the same of a request. Whether the native one took it; None when it is no request."""
    try:
        payload = validate(signal, body, Encoding.PROTOBUF, RequestLimits()).payload
    except Rejected:
        return None
    found = rules.apply_natively(signal, "default", payload)
    if found is None:
        return False
    expected = rules.apply_in_python(signal, "default", payload)
    assert (found.items, found.redacted) == (expected.items, expected.redacted)
    left = parse_checked(REQUESTS[signal], found.payload)
    if (
        rules._policies.of_project("default") is not None
    ):  # else some may be stored in full, fields that nobody knows too
        sent = left.SerializeToString(deterministic=True)
        left.DiscardUnknownFields()
        assert left.SerializeToString(deterministic=True) == sent
    left.DiscardUnknownFields()
    assert left.SerializeToString(deterministic=True) == parse_checked(
        REQUESTS[signal], expected.payload
    ).SerializeToString(deterministic=True)
    return True
