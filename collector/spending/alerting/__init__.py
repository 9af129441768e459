"""From changed sums to events in the outbox, each once."""

from collector.spending.alerting.contributors import Contributors
from collector.spending.alerting.evaluate import Alerting

__all__ = ["Alerting", "Contributors"]
