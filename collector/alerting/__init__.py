"""From changed sums to events in the outbox, each once."""

from collector.alerting.deciding import Alerting
from collector.alerting.describing import Describing

__all__ = ["Alerting", "Describing"]
