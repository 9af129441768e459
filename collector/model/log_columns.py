"""The column catalogue of `otel_logs`, as `columns.py` is that of `otel_traces`."""

import pyarrow as pa

from collector.model.columns import CH_MAP, LOW_TEXT, MAP, NANOSECONDS, TEXT, Column

# Names, order and types of the OpenTelemetry Collector's ClickHouse exporter.
_COLLECTOR_COLUMNS = (
    Column("Timestamp", NANOSECONDS, "DateTime64(9)", "When it happened, else when it was observed, UTC."),
    Column("TraceId", TEXT, "String", "Lower-case hex, 32 digits; empty when the record belongs to no trace."),
    Column("SpanId", TEXT, "String", "Lower-case hex, 16 digits; empty when it belongs to no span."),
    Column("TraceFlags", pa.uint8(), "UInt8", "W3C trace flags."),
    Column("SeverityText", TEXT, LOW_TEXT, "Severity as the source names it."),
    Column("SeverityNumber", pa.uint8(), "UInt8", "Severity from 1 (TRACE) to 24 (FATAL4); 0 is unspecified."),
    Column("ServiceName", TEXT, LOW_TEXT, "Resource attribute service.name."),
    Column("Body", TEXT, "String", "The body as text; arrays and maps as JSON."),
    Column("ResourceSchemaUrl", TEXT, LOW_TEXT, "Schema URL of the resource."),
    Column("ResourceAttributes", MAP, CH_MAP, "Attributes of the resource."),
    Column("ScopeSchemaUrl", TEXT, LOW_TEXT, "Schema URL of the scope."),
    Column("ScopeName", TEXT, "String", "Name of the instrumentation scope."),
    Column("ScopeVersion", TEXT, LOW_TEXT, "Version of the instrumentation scope."),
    Column("ScopeAttributes", MAP, CH_MAP, "Attributes of the instrumentation scope."),
    Column("LogAttributes", MAP, CH_MAP, "Attributes of the record, values as text."),
    Column("EventName", TEXT, "String", "The record's own event_name."),
)

_OUR_COLUMNS = (
    Column("Project", TEXT, LOW_TEXT, "Project of the token that sent the record; `default` without auth."),
    Column("ReceivedAt", NANOSECONDS, "DateTime64(9)", "When the export request was made durable, UTC."),
    Column("ObservedTimestamp", NANOSECONDS, "DateTime64(9)", "When the collection system saw the event, UTC."),
    Column("Event", TEXT, LOW_TEXT, "Name of the event: attribute event.name, else EventName."),
    Column(
        "SessionId", TEXT, "String", "Session or conversation, of the record or else of its resource; else the prompt."
    ),
    Column("PromptId", TEXT, "String", "The prompt or turn within the session."),
    Column("RequestId", TEXT, "String", "The provider's id of the model call."),
    Column("DroppedAttributesCount", pa.uint32(), "UInt32", "Attributes the SDK dropped at its limit."),
    Column(
        "RowKey", pa.uint64(), "UInt64", "Fingerprint of the record, and of its number among equals in the request."
    ),
    Column(
        "Day",
        pa.date32(),
        "Date",
        "Partition: the UTC day of Timestamp; 1970-01-01 when that is too far from ReceivedAt.",
        decoded=False,
    ),
)

LOG_COLUMNS = _COLLECTOR_COLUMNS + _OUR_COLUMNS

# What `decode_logs` produces: every batch has exactly these, in this order.
LOG_SCHEMA = pa.schema([pa.field(c.name, c.arrow) for c in LOG_COLUMNS if c.decoded])

# Where senders put what the columns of ours are read from; the first that is there and not empty counts.
EVENT_KEYS = ("event.name",)
SESSION_KEYS = ("session.id", "conversation.id", "gen_ai.conversation.id")
PROMPT_KEYS = ("prompt.id", "prompt_id")
REQUEST_KEYS = ("request_id", "response_id", "gen_ai.response.id")
RESOURCE_SESSION_KEY = "session.id"
