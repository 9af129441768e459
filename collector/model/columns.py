"""The column catalogue of `otel_traces`: the Arrow schema, insert order, DDL check and docs all derive from it."""

from dataclasses import dataclass

import pyarrow as pa

TEXT = pa.string()
NANOSECONDS = pa.timestamp("ns")
MAP = pa.map_(TEXT, TEXT)
MONEY = pa.decimal128(18, 12)

LOW_TEXT = "LowCardinality(String)"
CH_MAP = "Map(LowCardinality(String), String)"

# Earliest and latest Timestamp stored: ClickHouse's DateTime (the trace-id lookup, toStartOfHour) ends there.
EARLIEST_NS = 0
LATEST_NS = (2**32 - 1) * 1_000_000_000
DAY_NS = 86_400 * 1_000_000_000

# OTLP times that the table does not hold in its own columns are kept beside the span's attributes.
START_ATTRIBUTE = "spanmeter.start_time_unix_nano"
END_ATTRIBUTE = "spanmeter.end_time_unix_nano"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow and ClickHouse types and its meaning. `decoded` ones come straight from the payload."""

    name: str
    arrow: pa.DataType
    clickhouse: str
    doc: str
    decoded: bool = True


def _list(kind: pa.DataType) -> pa.DataType:
    return pa.list_(kind)


# Names, order and types of the OpenTelemetry Collector's ClickHouse exporter: its readers work on this table unchanged.
COLLECTOR_COLUMNS = (
    Column("Timestamp", NANOSECONDS, "DateTime64(9)", "Start of the span, UTC."),
    Column("TraceId", TEXT, "String", "Lower-case hex, 32 digits."),
    Column("SpanId", TEXT, "String", "Lower-case hex, 16 digits."),
    Column("ParentSpanId", TEXT, "String", "Lower-case hex; empty for a root span."),
    Column("TraceState", TEXT, "String", "W3C tracestate."),
    Column("SpanName", TEXT, LOW_TEXT, "Name of the span; empty means unknown."),
    Column("SpanKind", TEXT, LOW_TEXT, "Unspecified, Internal, Server, Client, Producer, Consumer."),
    Column("ServiceName", TEXT, LOW_TEXT, "Resource attribute service.name."),
    Column("ResourceAttributes", MAP, CH_MAP, "Attributes of the resource."),
    Column("ScopeName", TEXT, "String", "Name of the instrumentation scope."),
    Column("ScopeVersion", TEXT, "String", "Version of the instrumentation scope."),
    Column("SpanAttributes", MAP, CH_MAP, "Attributes of the span, values as text."),
    Column("Duration", pa.uint64(), "UInt64", "Nanoseconds; 0 when the span ends before it starts."),
    Column("StatusCode", TEXT, LOW_TEXT, "Unset, Ok, Error."),
    Column("StatusMessage", TEXT, "String", "Status description."),
    Column("Events.Timestamp", _list(NANOSECONDS), "Array(DateTime64(9))", "When each event happened."),
    Column("Events.Name", _list(TEXT), f"Array({LOW_TEXT})", "Name of each event."),
    Column("Events.Attributes", _list(MAP), f"Array({CH_MAP})", "Attributes of each event."),
    Column("Links.TraceId", _list(TEXT), "Array(String)", "Trace of each linked span, lower-case hex."),
    Column("Links.SpanId", _list(TEXT), "Array(String)", "Id of each linked span, lower-case hex."),
    Column("Links.TraceState", _list(TEXT), "Array(String)", "tracestate of each link."),
    Column("Links.Attributes", _list(MAP), f"Array({CH_MAP})", "Attributes of each link."),
)

# What OTLP carries and the exporter drops.
OTLP_COLUMNS = (
    Column("TraceFlags", pa.uint32(), "UInt32", "Span.flags: W3C trace flags and the remote-parent bits."),
    Column("ScopeAttributes", MAP, CH_MAP, "Attributes of the instrumentation scope."),
    Column("ResourceSchemaUrl", TEXT, LOW_TEXT, "Schema URL of the resource."),
    Column("ScopeSchemaUrl", TEXT, LOW_TEXT, "Schema URL of the scope."),
    Column("DroppedAttributesCount", pa.uint32(), "UInt32", "Attributes the SDK dropped at its limit."),
    Column("DroppedEventsCount", pa.uint32(), "UInt32", "Events the SDK dropped at its limit."),
    Column("DroppedLinksCount", pa.uint32(), "UInt32", "Links the SDK dropped at its limit."),
    Column(
        "OtlpDetails",
        TEXT,
        LOW_TEXT,
        "JSON of what no other column has of OTLP: types of attributes that are no strings, by place and key; what was "
        "dropped of resource, scope, events and links; flags of links. Empty when there is none.",
    ),
    Column("Project", TEXT, LOW_TEXT, "Project of the token that sent the span; `default` without auth."),
    Column("ReceivedAt", NANOSECONDS, "DateTime64(9)", "When the export request was made durable, UTC."),
    Column(
        "Version",
        pa.uint64(),
        "UInt64",
        "The row of a span with the highest counts: ended before open, with usage before without, then newest.",
    ),
)

# Filled by enrichment; a batch that lacks them stores their defaults.
ENRICHED_COLUMNS = tuple(
    Column(name, arrow, clickhouse, doc, decoded=False)
    for name, arrow, clickhouse, doc in (
        ("Kind", TEXT, LOW_TEXT, "agent, llm, tool, eval, internal."),
        ("Operation", TEXT, LOW_TEXT, "gen_ai.operation.name: chat, embeddings, execute_tool, invoke_agent, ..."),
        ("Provider", TEXT, LOW_TEXT, "Provider as sent."),
        ("RequestModel", TEXT, LOW_TEXT, "Model asked for."),
        ("ResponseModel", TEXT, LOW_TEXT, "Model that answered."),
        ("ResponseId", TEXT, "String", "The provider's id of the answer."),
        ("AgentName", TEXT, LOW_TEXT, "Agent the span belongs to."),
        ("ToolName", TEXT, LOW_TEXT, "Tool the span runs."),
        ("Feature", TEXT, LOW_TEXT, "Product feature the run serves."),
        ("ConversationId", TEXT, "String", "Conversation or session."),
        ("UserId", TEXT, "String", "End user."),
        ("InputTokens", pa.uint64(), "UInt64", "Input tokens as billed, cached ones included."),
        ("OutputTokens", pa.uint64(), "UInt64", "Output tokens as billed, reasoning included."),
        ("CacheReadTokens", pa.uint64(), "UInt64", "Part of InputTokens read from the provider's cache."),
        ("CacheWriteTokens", pa.uint64(), "UInt64", "Part of InputTokens written to the provider's cache."),
        ("ReasoningTokens", pa.uint64(), "UInt64", "Part of OutputTokens spent on reasoning."),
        ("UsageDetails", pa.map_(TEXT, pa.uint64()), "Map(LowCardinality(String), UInt64)", "Other usage buckets."),
        ("Cost", MONEY, "Nullable(Decimal(18, 12))", "USD; NULL when not priced."),
        (
            "CostDetails",
            pa.map_(TEXT, MONEY),
            "Map(LowCardinality(String), Decimal(18, 12))",
            "The receipt, by bucket.",
        ),
        (
            "PriceStatus",
            TEXT,
            LOW_TEXT,
            "priced, reported, unknown_model, no_usage, not_a_call, rolled_up; empty before pricing.",
        ),
        ("PriceRef", TEXT, LOW_TEXT, "Price entry applied, with its version."),
        ("ReportedCost", MONEY, "Nullable(Decimal(18, 12))", "Cost the instrumentation sent, USD."),
        ("FinishReason", TEXT, LOW_TEXT, "Why the model stopped."),
        ("Input", TEXT, "String", "Exact input content."),
        ("Output", TEXT, "String", "Exact output content."),
        ("InputKey", TEXT, LOW_TEXT, "Attribute Input came from."),
        ("OutputKey", TEXT, LOW_TEXT, "Attribute Output came from."),
        ("Purpose", TEXT, LOW_TEXT, "What it was done for, when that is not the product: judge, adversary, ..."),
    )
)

SPAN_COLUMNS = COLLECTOR_COLUMNS + OTLP_COLUMNS + ENRICHED_COLUMNS

# What `decode` produces: every batch has exactly these, in this order.
DECODED_SCHEMA = pa.schema([pa.field(c.name, c.arrow) for c in SPAN_COLUMNS if c.decoded])
