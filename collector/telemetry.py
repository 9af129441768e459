"""The metric catalogue and the set-up of logs. Instances are injected; nothing here is global."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

_MAX_MODELS = 100
_MAX_MODEL_LENGTH = 200
_OF_WORKERS = ("spanmeter_receiver_", "spanmeter_spool_", "spanmeter_dedupe_", "spanmeter_in_flight_")
_INSERT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Every metric that code increments; what has a state of its own reports it through `watch`.

    Labels take values from closed sets (signals, transports, reasons); the one that users choose is capped.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series a metric that no one reads
        self.registry = registry
        self.accepted_spans = Counter(
            "spanmeter_receiver_accepted_spans", "Spans acknowledged as durable.", ["transport"], registry=registry
        )
        self.accepted_bytes = Counter(
            "spanmeter_receiver_accepted_bytes",
            "Request bytes (decompressed) acknowledged as durable.",
            ["transport"],
            registry=registry,
        )
        self.refused_spans = Counter(
            "spanmeter_receiver_refused_spans",
            "Spans refused for good within accepted requests.",
            ["transport", "reason"],
            registry=registry,
        )
        self.refused_bytes = Counter(
            "spanmeter_receiver_refused_bytes",
            "Request bytes (decompressed) refused for good, because they are no OTLP request.",
            ["transport", "reason"],
            registry=registry,
        )
        self.failed_spans = Counter(
            "spanmeter_receiver_failed_spans",
            "Sound spans that could not be made durable; their senders were asked to retry.",
            ["transport", "reason"],
            registry=registry,
        )
        self.failed_bytes = Counter(
            "spanmeter_receiver_failed_bytes",
            "Request bytes (decompressed) that could not be made durable.",
            ["transport", "reason"],
            registry=registry,
        )
        self.refused_requests = Counter(
            "spanmeter_receiver_refused_requests",
            "Requests answered with an error, by reason.",
            ["signal", "transport", "reason"],
            registry=registry,
        )
        self.not_stored = Counter(
            "spanmeter_receiver_not_stored_items",
            "Log records and metric points that were received, checked and not stored.",
            ["signal", "transport"],
            registry=registry,
        )
        self.repaired_strings = Counter(
            "spanmeter_receiver_repaired_strings", "Strings that were not UTF-8 and were mended.", registry=registry
        )
        self.stored_spans = Counter(
            "spanmeter_drain_stored_spans", "Spans inserted into ClickHouse.", registry=registry
        )
        self.revised_spans = Counter(
            "spanmeter_drain_revised_spans",
            "Stored spans written again because a later span changed who is billed.",
            registry=registry,
        )
        self.unpriced_calls = Counter(
            "spanmeter_unpriced_calls",
            "Model calls without a known price, by model; beyond a hundred models, as `other`.",
            ["model"],
            registry=registry,
        )
        self._unpriced_models: set[str] = set()
        self.dead_lettered = Counter(
            "spanmeter_drain_dead_lettered_spans",
            "Spans or damaged ranges set aside, by reason.",
            ["reason"],
            registry=registry,
        )
        self.clamped = Counter(
            "spanmeter_drain_clamped_timestamps",
            "Spans whose start lies outside ClickHouse's DateTime range and was moved to its edge.",
            registry=registry,
        )
        self.failed_inserts = Counter(
            "spanmeter_drain_failed_attempts", "Attempts to drain a segment that will be repeated.", registry=registry
        )
        self.insert_seconds = Histogram(
            "spanmeter_store_insert_seconds", "Time of one insert.", buckets=_INSERT_BUCKETS, registry=registry
        )
        self.inserts = Counter("spanmeter_store_inserts", "Inserts confirmed by the store.", registry=registry)
        self.native = Gauge(
            "spanmeter_native", "1 where a module runs compiled, 0 where in Python.", ["module"], registry=registry
        )
        self.webhook_attempts = Counter(
            "spanmeter_webhook_attempts",
            "Attempts to send a webhook, by endpoint and outcome (delivered, failed, gone).",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.webhook_deliveries = Counter(
            "spanmeter_webhook_deliveries",
            "Webhooks that ended, by endpoint: delivered, failed (given up), gone (its endpoint is disabled).",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.ready = Gauge("spanmeter_store_ready", "1 once the store is reachable and migrated.", registry=registry)

    def count_unpriced(self, model: str, calls: int) -> None:
        """Count calls without a price. Users choose model names, so only so many become labels."""
        if model not in self._unpriced_models:
            if len(self._unpriced_models) >= _MAX_MODELS:
                model = "other"
            self._unpriced_models.add(model)
        self.unpriced_calls.labels(model[:_MAX_MODEL_LENGTH]).inc(calls)

    def watch(self, statistics: Callable[[], Iterable["Sample"]]) -> None:
        """Report what `statistics` answers whenever metrics are collected."""
        self.registry.register(_Watcher(statistics))


# The kind, name and help of a metric, and its value, or its values by transport.
Sample = tuple[Literal["gauge", "counter"], str, str, float | Mapping[str, float]]


class _Watcher(Collector):
    def __init__(self, statistics: Callable[[], Iterable[Sample]]) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        for kind, name, text, value in self._statistics():
            family = GaugeMetricFamily if kind == "gauge" else CounterMetricFamily
            if isinstance(value, Mapping):
                labelled = family(name, text, labels=["transport"])
                for transport, one in value.items():
                    labelled.add_metric([transport], one)
                yield labelled
            else:
                yield family(name, text, value=value)


def expose(registry: CollectorRegistry, workers: Mapping[str, str]) -> bytes:
    """The metrics of `registry` as text, and beside them those of receiver processes, labelled with `worker`.

    `workers` holds each one's own text. Of it, what has to do with the store is left out: they have none.
    """
    families = {family.name: family for family in registry.collect()}
    for worker, text in workers.items():
        for family in text_string_to_metric_families(text):
            if family.name.startswith(_OF_WORKERS):
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.samples.append(sample._replace(labels={**sample.labels, "worker": worker}))
    merged_registry = CollectorRegistry()
    merged_registry.register(_Collected(families.values()))
    return generate_latest(merged_registry)


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def set_up_logs(level: str, log_format: str) -> None:
    """Send structlog's and the libraries' logs to standard error, one line an event."""
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not console:
        final.append(structlog.processors.format_exc_info)
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Their lines repeat what ours say, or what a client did wrong.
    for noisy in ("uvicorn", "clickhouse_connect", "urllib3", "grpc", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
