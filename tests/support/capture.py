"""Capture policies for tests."""

from collector.capture import Capture
from collector.capture.policies import Policies
from collector.capture.reference import rewrite
from collector.config import CaptureConfig
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.model.envelope import Signal
from collector.schema import schema_root

FAMILIES = load(schema_root()).families
KEEPER = KeptFacts(FAMILIES, schema_root())
AGENT_KEYS = agent_keys(FAMILIES)


def capture(config: CaptureConfig) -> Capture:
    """What a daemon with these settings would do."""
    return Capture(config, lambda: (KeptFacts(FAMILIES, schema_root(), config.keep), AGENT_KEYS))


WITHHOLDS_NOTHING = capture(CaptureConfig())


def referred(config: CaptureConfig, signal: Signal, payload: bytes, project: str = "default") -> bytes:
    """The request after the reference implementation."""
    policies = Policies(config)
    return rewrite(signal, payload, lambda service: policies.of_service(project, service), KEEPER, AGENT_KEYS)
