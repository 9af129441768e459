"""The metrics that code counts. Instances are injected; nothing here is global."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from collector.telemetry import catalogue
from collector.telemetry.definition import Metric, Sample
from collector.telemetry.exposition import Watched

_MAX_MODELS = 100
_MAX_MODEL_LENGTH = 200


class Metrics:
    """Every metric that code increments; what has a state of its own reports it through `watch`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series a metric that no one reads
        self.registry = registry
        self.accepted_spans = self._counter(catalogue.RECEIVER_ACCEPTED_SPANS)
        self.accepted_bytes = self._counter(catalogue.RECEIVER_ACCEPTED_BYTES)
        self.refused_spans = self._counter(catalogue.RECEIVER_REFUSED_SPANS)
        self.refused_bytes = self._counter(catalogue.RECEIVER_REFUSED_BYTES)
        self.failed_spans = self._counter(catalogue.RECEIVER_FAILED_SPANS)
        self.failed_bytes = self._counter(catalogue.RECEIVER_FAILED_BYTES)
        self.refused_requests = self._counter(catalogue.RECEIVER_REFUSED_REQUESTS)
        self.not_stored = self._counter(catalogue.RECEIVER_NOT_STORED_ITEMS)
        self.repaired_strings = self._counter(catalogue.RECEIVER_REPAIRED_STRINGS)
        self.stored_spans = self._counter(catalogue.DRAIN_STORED_SPANS)
        self.revised_spans = self._counter(catalogue.DRAIN_REVISED_SPANS)
        self.unpriced_calls = self._counter(catalogue.UNPRICED_CALLS)
        self._unpriced_models: set[str] = set()
        self.dead_lettered = self._counter(catalogue.DRAIN_DEAD_LETTERED_SPANS)
        self.clamped = self._counter(catalogue.DRAIN_CLAMPED_TIMESTAMPS)
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

    def count_unpriced(self, model: str, calls: int) -> None:
        """Count calls without a price. Users choose model names, so only so many become labels."""
        if model not in self._unpriced_models:
            if len(self._unpriced_models) >= _MAX_MODELS:
                model = "other"
            self._unpriced_models.add(model)
        self.unpriced_calls.labels(model[:_MAX_MODEL_LENGTH]).inc(calls)

    def watch(self, readings: Callable[[], Iterable[Sample]]) -> None:
        """Report what `readings` answers whenever metrics are collected; samples of one metric follow each other."""
        self.registry.register(Watched(readings))
