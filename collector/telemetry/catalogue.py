"""Every metric, under the name of its constant: what follows `spanmeter_`, in capitals.

A metric that is not here cannot be counted, sampled or exposed. docs/metrics.md is rendered from this.
"""

from collections.abc import Mapping
from typing import Final

from collector.telemetry.definition import Appears, Kind, Metric

# Receivers, and the spool they fill.

RECEIVER_ACCEPTED_SPANS: Final = Metric(
    "spanmeter_receiver_accepted_spans",
    Kind.COUNTER,
    "Spans acknowledged as durable.",
    "spans",
    labels=("transport",),
    receiver=True,
)
RECEIVER_ACCEPTED_LOG_RECORDS: Final = Metric(
    "spanmeter_receiver_accepted_log_records",
    Kind.COUNTER,
    "Log records acknowledged as durable.",
    "records",
    labels=("transport",),
    receiver=True,
)
RECEIVER_ACCEPTED_METRIC_POINTS: Final = Metric(
    "spanmeter_receiver_accepted_metric_points",
    Kind.COUNTER,
    "Metric points acknowledged as durable.",
    "points",
    labels=("transport",),
    receiver=True,
)
RECEIVER_ACCEPTED_BYTES: Final = Metric(
    "spanmeter_receiver_accepted_bytes",
    Kind.COUNTER,
    "Request bytes (decompressed) acknowledged as durable.",
    "bytes",
    labels=("transport",),
    receiver=True,
)
RECEIVER_REFUSED_SPANS: Final = Metric(
    "spanmeter_receiver_refused_spans",
    Kind.COUNTER,
    "Spans refused for good within accepted requests.",
    "spans",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_REFUSED_BYTES: Final = Metric(
    "spanmeter_receiver_refused_bytes",
    Kind.COUNTER,
    "Request bytes (decompressed) refused for good, because they are no OTLP request.",
    "bytes",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_FAILED_SPANS: Final = Metric(
    "spanmeter_receiver_failed_spans",
    Kind.COUNTER,
    "Sound spans that could not be made durable; their senders were asked to retry.",
    "spans",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_FAILED_LOG_RECORDS: Final = Metric(
    "spanmeter_receiver_failed_log_records",
    Kind.COUNTER,
    "Sound log records that could not be made durable; their senders were asked to retry.",
    "records",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_FAILED_METRIC_POINTS: Final = Metric(
    "spanmeter_receiver_failed_metric_points",
    Kind.COUNTER,
    "Sound metric points that could not be made durable; their senders were asked to retry.",
    "points",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_FAILED_BYTES: Final = Metric(
    "spanmeter_receiver_failed_bytes",
    Kind.COUNTER,
    "Request bytes (decompressed) that could not be made durable.",
    "bytes",
    labels=("transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_REFUSED_REQUESTS: Final = Metric(
    "spanmeter_receiver_refused_requests",
    Kind.COUNTER,
    "Requests answered with an error, by reason.",
    "requests",
    labels=("signal", "transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_LAST_REFUSED_TIMESTAMP_SECONDS: Final = Metric(
    "spanmeter_receiver_last_refused_timestamp_seconds",
    Kind.GAUGE,
    "When a request was last answered with an error, by reason.",
    "Unix seconds",
    labels=("signal", "transport", "reason"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_REPAIRED_STRINGS: Final = Metric(
    "spanmeter_receiver_repaired_strings",
    Kind.COUNTER,
    "Strings that were not UTF-8 and were mended.",
    "strings",
    receiver=True,
)
CAPTURE_ITEMS: Final = Metric(
    "spanmeter_capture_items",
    Kind.COUNTER,
    "Spans, log records and data points of which a capture policy withheld content.",
    "items",
    ("signal", "policy"),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
CAPTURE_REDACTIONS: Final = Metric(
    "spanmeter_capture_redactions",
    Kind.COUNTER,
    "Texts that a rule of capture.redact replaced.",
    "texts",
    ("rule",),
    appears=Appears.AT_FIRST_EVENT,
    receiver=True,
)
RECEIVER_CONNECTIONS: Final = Metric(
    "spanmeter_receiver_connections",
    Kind.GAUGE,
    "Connections open.",
    "connections",
    labels=("transport",),
    receiver=True,
)
RECEIVER_REFUSED_CONNECTIONS: Final = Metric(
    "spanmeter_receiver_refused_connections",
    Kind.COUNTER,
    "Connections closed, as there were enough.",
    "connections",
    labels=("transport",),
    receiver=True,
)
IN_FLIGHT_BYTES: Final = Metric(
    "spanmeter_in_flight_bytes", Kind.GAUGE, "Request bytes in memory.", "bytes", receiver=True
)
DEDUPE_HITS: Final = Metric(
    "spanmeter_dedupe_hits", Kind.COUNTER, "Retried exports answered from memory.", "requests", receiver=True
)
DEDUPE_ENTRIES: Final = Metric("spanmeter_dedupe_entries", Kind.GAUGE, "Digests remembered.", "digests", receiver=True)
SPOOL_BYTES: Final = Metric("spanmeter_spool_bytes", Kind.GAUGE, "Bytes waiting for the store.", "bytes", receiver=True)
SPOOL_SEGMENTS: Final = Metric(
    "spanmeter_spool_segments", Kind.GAUGE, "Segments waiting for the store.", "segments", receiver=True
)
SPOOL_OLDEST_SECONDS: Final = Metric(
    "spanmeter_spool_oldest_seconds", Kind.GAUGE, "Age of the oldest segment.", "seconds", receiver=True
)
SPOOL_FSYNCS: Final = Metric(
    "spanmeter_spool_fsyncs", Kind.COUNTER, "Group commits forced to disk.", "commits", receiver=True
)
SPOOL_FSYNC_SECONDS: Final = Metric(
    "spanmeter_spool_fsync_seconds", Kind.COUNTER, "Time spent in fsync.", "seconds", receiver=True
)
SPOOL_WRITE_ERRORS: Final = Metric(
    "spanmeter_spool_write_errors", Kind.COUNTER, "Failed writes or syncs.", "errors", receiver=True
)
SPOOL_CAPACITY_BYTES: Final = Metric("spanmeter_spool_capacity_bytes", Kind.GAUGE, "Bytes the spool may hold.", "bytes")
WORKERS_ACCEPTING: Final = Metric(
    "spanmeter_workers_accepting",
    Kind.GAUGE,
    "Receiver processes that accept spans.",
    "processes",
    appears=Appears.WITH_PROCESSES,
)
WORKER_RESTARTS: Final = Metric(
    "spanmeter_worker_restarts",
    Kind.COUNTER,
    "Receiver processes started again after they ended.",
    "restarts",
    appears=Appears.WITH_PROCESSES,
)

# The drain, and what it could not store.

DRAIN_STORED_SPANS: Final = Metric(
    "spanmeter_drain_stored_spans", Kind.COUNTER, "Spans inserted into ClickHouse.", "spans"
)
DRAIN_STORED_LOG_RECORDS: Final = Metric(
    "spanmeter_drain_stored_log_records", Kind.COUNTER, "Log records inserted into ClickHouse.", "records"
)
DRAIN_STORED_METRIC_POINTS: Final = Metric(
    "spanmeter_drain_stored_metric_points", Kind.COUNTER, "Metric points inserted into ClickHouse.", "points"
)
DRAIN_REVISED_SPANS: Final = Metric(
    "spanmeter_drain_revised_spans",
    Kind.COUNTER,
    "Stored spans written again because a later span changed who is billed.",
    "spans",
)
DRAIN_UNDERCOUNTED_SESSIONS: Final = Metric(
    "spanmeter_drain_undercounted_sessions",
    Kind.COUNTER,
    "Sessions of coding agents whose metrics count more tokens than were billed.",
    "sessions",
)
DRAIN_OVERSIZED_TURNS: Final = Metric(
    "spanmeter_drain_oversized_turns",
    Kind.COUNTER,
    "Times that log records of a session were stored whose turn has too many of them to be made a run and billed.",
    "turns",
)
DRAIN_DEAD_LETTERED_SPANS: Final = Metric(
    "spanmeter_drain_dead_lettered_spans",
    Kind.COUNTER,
    "Spans, log records, metric points or damaged ranges set aside, by reason.",
    "spans",
    labels=("reason",),
    appears=Appears.AT_FIRST_EVENT,
)
DRAIN_CLAMPED_TIMESTAMPS: Final = Metric(
    "spanmeter_drain_clamped_timestamps",
    Kind.COUNTER,
    "Spans whose start is too far from their arrival and was moved (store.max_future, store.max_age).",
    "spans",
)
DRAIN_AHEAD_SPANS: Final = Metric(
    "spanmeter_drain_ahead_spans",
    Kind.COUNTER,
    "Spans that start over a second after they were received: their sender's clock is ahead.",
    "spans",
)
DRAIN_AHEAD_SECONDS: Final = Metric(
    "spanmeter_drain_ahead_seconds",
    Kind.GAUGE,
    "How long after it was received a span of the last segment starts, at most; 0 where no sender's clock is ahead.",
    "seconds",
)
DRAIN_FAILED_ATTEMPTS: Final = Metric(
    "spanmeter_drain_failed_attempts", Kind.COUNTER, "Attempts to drain a segment that will be repeated.", "attempts"
)
DRAIN_FAILING_ATTEMPTS: Final = Metric(
    "spanmeter_drain_failing_attempts", Kind.GAUGE, "Failed attempts in a row.", "attempts"
)
DRAIN_UNREADABLE_SEGMENTS: Final = Metric(
    "spanmeter_drain_unreadable_segments",
    Kind.GAUGE,
    "Segments of the spool that cannot be read now; others are drained meanwhile.",
    "segments",
)
UNSUMMED_RUNS: Final = Metric(
    "spanmeter_unsummed_runs",
    Kind.GAUGE,
    "Runs changed since their sums were kept; lists make these from their spans, which takes longer.",
    "runs",
)
EVALUATIONS: Final = Metric(
    "spanmeter_evaluations",
    Kind.COUNTER,
    "Evaluations of runs and spans that settled.",
    "evaluations",
    ("found",),
)
VERDICTS_EXPORTED: Final = Metric(
    "spanmeter_verdicts_exported", Kind.COUNTER, "Verdicts that were to go out by OTLP.", "verdicts", ("result",)
)
VERDICTS_PENDING: Final = Metric(
    "spanmeter_verdicts_pending", Kind.GAUGE, "Verdicts to be sent by OTLP, now or again.", "verdicts"
)
VERDICTS_OLDEST_PENDING_SECONDS: Final = Metric(
    "spanmeter_verdicts_oldest_pending_seconds", Kind.GAUGE, "Age of the oldest verdict to be sent.", "seconds"
)
DRAIN_LAG_SECONDS: Final = Metric(
    "spanmeter_drain_lag_seconds", Kind.GAUGE, "Age of the oldest span not yet stored.", "seconds"
)
DEAD_LETTER_ENTRIES: Final = Metric(
    "spanmeter_dead_letter_entries", Kind.GAUGE, "Entries in the dead letter.", "entries"
)
DEAD_LETTER_BYTES: Final = Metric("spanmeter_dead_letter_bytes", Kind.GAUGE, "Bytes in the dead letter.", "bytes")
UNPRICED_CALLS: Final = Metric(
    "spanmeter_unpriced_calls",
    Kind.COUNTER,
    "Model calls without a known price, by model; beyond a hundred models, as `other`.",
    "calls",
    labels=("model",),
    appears=Appears.AT_FIRST_EVENT,
)
UNREAD_USAGE_CALLS: Final = Metric(
    "spanmeter_unread_usage_calls",
    Kind.COUNTER,
    "Model calls with counts of tokens under names that no convention reads, by scope; beyond a hundred, as `other`.",
    "calls",
    labels=("scope",),
    appears=Appears.AT_FIRST_EVENT,
)

# The store.

STORE_READY: Final = Metric("spanmeter_store_ready", Kind.GAUGE, "1 once the store is reachable and migrated.")
STORE_INSERTS: Final = Metric("spanmeter_store_inserts", Kind.COUNTER, "Inserts confirmed by the store.", "inserts")
STORE_INSERT_SECONDS: Final = Metric(
    "spanmeter_store_insert_seconds",
    Kind.HISTOGRAM,
    "Time of one insert.",
    "seconds",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

# Budgets.

LEDGER_READY: Final = Metric("spanmeter_ledger_ready", Kind.GAUGE, "1 once spend is known from the store.")
LEDGER_SUMS: Final = Metric("spanmeter_ledger_sums", Kind.GAUGE, "Sums of spend in memory.", "sums")
LEDGER_CORRECTIONS: Final = Metric(
    "spanmeter_ledger_corrections", Kind.COUNTER, "Times a budget's spend was not what the store said.", "corrections"
)
LEASES_OPEN: Final = Metric("spanmeter_leases_open", Kind.GAUGE, "Leases that hold an amount.", "leases")
BUDGET_CHECKS_ALLOWED: Final = Metric(
    "spanmeter_budget_checks_allowed", Kind.COUNTER, "Checks and leases that were allowed.", "checks"
)
BUDGET_CHECKS_REFUSED: Final = Metric(
    "spanmeter_budget_checks_refused", Kind.COUNTER, "Checks and leases that were refused.", "checks"
)
BUDGET_CHECKS_DEGRADED: Final = Metric(
    "spanmeter_budget_checks_degraded",
    Kind.COUNTER,
    "Checks and leases decided while spend was not wholly known.",
    "checks",
)

# Webhooks.

WEBHOOK_ATTEMPTS: Final = Metric(
    "spanmeter_webhook_attempts",
    Kind.COUNTER,
    "Attempts to send a webhook, by endpoint and outcome (delivered, failed, gone).",
    "attempts",
    labels=("endpoint", "outcome"),
    appears=Appears.AT_FIRST_EVENT,
)
WEBHOOK_DELIVERIES: Final = Metric(
    "spanmeter_webhook_deliveries",
    Kind.COUNTER,
    "Webhooks that ended, by endpoint: delivered, failed (given up), gone (its endpoint is disabled).",
    "deliveries",
    labels=("endpoint", "outcome"),
    appears=Appears.AT_FIRST_EVENT,
)
WEBHOOKS_PENDING: Final = Metric(
    "spanmeter_webhooks_pending", Kind.GAUGE, "Deliveries to be sent, now or again.", "deliveries"
)
WEBHOOKS_HELD: Final = Metric(
    "spanmeter_webhooks_held", Kind.GAUGE, "Deliveries of endpoints disabled or not configured.", "deliveries"
)
WEBHOOKS_FAILED: Final = Metric(
    "spanmeter_webhooks_failed", Kind.GAUGE, "Deliveries given up, within their retention.", "deliveries"
)
WEBHOOKS_DISABLED_ENDPOINTS: Final = Metric(
    "spanmeter_webhooks_disabled_endpoints", Kind.GAUGE, "Endpoints that answered 410 Gone.", "endpoints"
)
WEBHOOKS_OLDEST_PENDING_SECONDS: Final = Metric(
    "spanmeter_webhooks_oldest_pending_seconds", Kind.GAUGE, "Age of the oldest pending delivery.", "seconds"
)
WEBHOOKS_EVENTS_WITHOUT_TOP: Final = Metric(
    "spanmeter_webhooks_events_without_top",
    Kind.COUNTER,
    "Events sent without their top contributors: the store did not say in time.",
    "events",
)

# The web port, and the process.

WEB_CONNECTIONS: Final = Metric(
    "spanmeter_web_connections", Kind.GAUGE, "Connections open at the web port.", "connections"
)
WEB_REFUSED_CONNECTIONS: Final = Metric(
    "spanmeter_web_refused_connections",
    Kind.COUNTER,
    "Connections to the web port that were closed, as there were enough.",
    "connections",
)
QUERY_CONNECTIONS: Final = Metric(
    "spanmeter_query_connections", Kind.GAUGE, "Connections open at the ClickHouse interface.", "connections"
)
QUERY_REFUSED_CONNECTIONS: Final = Metric(
    "spanmeter_query_refused_connections",
    Kind.COUNTER,
    "Connections to the ClickHouse interface that were closed, as there were enough.",
    "connections",
)
QUERY_RUNNING: Final = Metric(
    "spanmeter_query_running", Kind.GAUGE, "Queries that run at the ClickHouse interface.", "queries"
)
NATIVE: Final = Metric(
    "spanmeter_native", Kind.GAUGE, "1 where a module runs compiled, 0 where in Python.", labels=("module",)
)

CATALOGUE: Final[tuple[Metric, ...]] = tuple(entry for entry in list(globals().values()) if isinstance(entry, Metric))

# Their values come from closed sets, but for `model` and `scope`, which are capped, and `endpoint`: it is configured.
LABELS: Final[Mapping[str, str]] = {
    "endpoint": "Name of the webhook, as in `webhooks`.",
    "found": "`pass` or `fail`; `ok` with a score alone; `error` or `skipped` without a verdict.",
    "model": "Model as the call names it.",
    "module": "Part of the daemon that has a compiled form.",
    "outcome": "`delivered`, `failed` or `gone`.",
    "policy": "`metadata` or `off`.",
    "reason": "Why something was not taken; the values are below.",
    "result": "`sent`; `rejected` by the receiver for good; `dropped` because too many waited.",
    "rule": "Name of the rule in `capture.redact`.",
    "scope": "Name of the instrumentation scope.",
    "signal": "`traces`, `metrics` or `logs`.",
    "transport": "`grpc` or `http`; `web` of OTLP that came to the web port; `mcp` of spans that agents record, "
    "`judge` of those that judges make.",
    "worker": "Number of the receiver process, from 0; absent on what the daemon's own process reports.",
}
