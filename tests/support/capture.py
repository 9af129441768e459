"""Capture policies for tests."""

from prometheus_client import CollectorRegistry

from collector.capture import Capture
from collector.config import CaptureConfig
from collector.enrich.conventions.kept import KeptFacts, agent_keys
from collector.enrich.conventions.reader import load
from collector.schema import schema_root
from collector.telemetry import Metrics

FAMILIES = load(schema_root()).families
AGENT_KEYS = agent_keys(FAMILIES)


def capture(config: CaptureConfig) -> Capture:
    """What a daemon with these settings would do."""
    return Capture(
        config, lambda: (KeptFacts(FAMILIES, schema_root(), config.keep), AGENT_KEYS), Metrics(CollectorRegistry())
    )


WITHHOLDS_NOTHING = capture(CaptureConfig())
