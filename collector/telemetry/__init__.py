"""What the daemon reports of itself: metrics, of which `catalogue` lists every one, and logs."""

from collector.telemetry import catalogue
from collector.telemetry.definition import Metric, Sample
from collector.telemetry.exposition import expose
from collector.telemetry.logs import set_up_logs
from collector.telemetry.metrics import Metrics

__all__ = ["Metric", "Metrics", "Sample", "catalogue", "expose", "set_up_logs"]
