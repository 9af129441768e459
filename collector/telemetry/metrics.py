"""The metrics that code counts. Instances are injected; nothing here is global."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from collector.errors import Reason
from collector.model.clock import Clock
from collector.model.envelope import Signal
from collector.telemetry import catalogue
from collector.telemetry.definition import Metric, Sample
from collector.telemetry.exposition import Watched

_MAX_NAMES = 100
_MAX_NAME_LENGTH = 200


class Metrics:
    """Every metric that code increments; what has a state of its own reports it through `watch`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series a metric that no one reads
        self.registry = registry
        self.accepted = {
            Signal.TRACES: self._counter(catalogue.RECEIVER_ACCEPTED_SPANS),
            Signal.LOGS: self._counter(catalogue.RECEIVER_ACCEPTED_LOG_RECORDS),
            Signal.METRICS: self._counter(catalogue.RECEIVER_ACCEPTED_METRIC_POINTS),
        }
        self.accepted_bytes = self._counter(catalogue.RECEIVER_ACCEPTED_BYTES)
        self.refused_spans = self._counter(catalogue.RECEIVER_REFUSED_SPANS)
        self.refused_bytes = self._counter(catalogue.RECEIVER_REFUSED_BYTES)
        self.failed = {
            Signal.TRACES: self._counter(catalogue.RECEIVER_FAILED_SPANS),
            Signal.LOGS: self._counter(catalogue.RECEIVER_FAILED_LOG_RECORDS),
            Signal.METRICS: self._counter(catalogue.RECEIVER_FAILED_METRIC_POINTS),
        }
        self.failed_bytes = self._counter(catalogue.RECEIVER_FAILED_BYTES)
        self.refused_requests = self._counter(catalogue.RECEIVER_REFUSED_REQUESTS)
        self.last_refused = self._gauge(catalogue.RECEIVER_LAST_REFUSED_TIMESTAMP_SECONDS)
        self.repaired_strings = self._counter(catalogue.RECEIVER_REPAIRED_STRINGS)
        self.capture_items = self._counter(catalogue.CAPTURE_ITEMS)
        self.capture_redactions = self._counter(catalogue.CAPTURE_REDACTIONS)
        self.stored = {
            Signal.TRACES: self._counter(catalogue.DRAIN_STORED_SPANS),
            Signal.LOGS: self._counter(catalogue.DRAIN_STORED_LOG_RECORDS),
            Signal.METRICS: self._counter(catalogue.DRAIN_STORED_METRIC_POINTS),
        }
        self.revised_spans = self._counter(catalogue.DRAIN_REVISED_SPANS)
        self.undercounted_sessions = self._counter(catalogue.DRAIN_UNDERCOUNTED_SESSIONS)
        self.oversized_turns = self._counter(catalogue.DRAIN_OVERSIZED_TURNS)
        self.unpriced_calls = self._counter(catalogue.UNPRICED_CALLS)
        self.unread_usage = self._counter(catalogue.UNREAD_USAGE_CALLS)
        self._unpriced_models: set[str] = set()
        self._unread_scopes: set[str] = set()
        self.dead_lettered = self._counter(catalogue.DRAIN_DEAD_LETTERED_SPANS)
        self.clamped = self._counter(catalogue.DRAIN_CLAMPED_TIMESTAMPS)
        self.ahead_spans = self._counter(catalogue.DRAIN_AHEAD_SPANS)
        self.ahead_seconds = self._gauge(catalogue.DRAIN_AHEAD_SECONDS)
        self.failed_inserts = self._counter(catalogue.DRAIN_FAILED_ATTEMPTS)
        self.insert_seconds = self._histogram(catalogue.STORE_INSERT_SECONDS)
        self.inserts = self._counter(catalogue.STORE_INSERTS)
        self.native = self._gauge(catalogue.NATIVE)
        self.webhook_attempts = self._counter(catalogue.WEBHOOK_ATTEMPTS)
        self.webhook_deliveries = self._counter(catalogue.WEBHOOK_DELIVERIES)
        self.ready = self._gauge(catalogue.STORE_READY)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self.registry)

    def count_refused(self, signal: Signal, transport: str, reason: Reason, clock: Clock) -> None:
        """Count a request that is answered with an error; `transport` is that of the receiver, or `web`."""
        labels = signal.value, transport, reason.value
        self.refused_requests.labels(*labels).inc()
        self.last_refused.labels(*labels).set(clock.time_ns() / 1e9)

    def count_unpriced(self, model: str, calls: int) -> None:
        """Count calls without a price. Users choose model names, so only so many become labels."""
        self.unpriced_calls.labels(_bounded(model, self._unpriced_models)).inc(calls)

    def count_unread_usage(self, scope: str, calls: int) -> None:
        """Count calls with token counts that nothing reads. Only so many scopes become labels: senders name them."""
        self.unread_usage.labels(_bounded(scope, self._unread_scopes)).inc(calls)

    def watch(self, readings: Callable[[], Iterable[Sample]]) -> None:
        """Report what `readings` answers whenever metrics are collected; samples of one metric follow each other."""
        self.registry.register(Watched(readings))


def _bounded(name: str, seen: set[str]) -> str:
    """`name` as the value of a label; `other` once enough have been seen."""
    name = name[:_MAX_NAME_LENGTH]
    if name not in seen:
        if len(seen) >= _MAX_NAMES:
            return "other"
        seen.add(name)
    return name
