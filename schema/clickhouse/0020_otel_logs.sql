-- Log records. The first columns are those of the OpenTelemetry Collector's ClickHouse exporter, by name and type; the
-- rest are ours (collector/model/log_columns.py says what each means). TimestampTime is for readers of its older tables.
--
-- A record has no id of its own: RowKey is the fingerprint of all it says and of its number among equal ones in its
-- request, so that one delivered again, in whatever batch or encoding, counts once wherever FINAL is used.
-- Everything in the key and the partition follows from the record, but for records far from their receipt.
CREATE TABLE IF NOT EXISTS otel_logs
(
    Timestamp DateTime64(9) CODEC(Delta(8), Default),
    TimestampTime DateTime ALIAS toDateTime(Timestamp),
    TraceId String CODEC(Default),
    SpanId String CODEC(Default),
    TraceFlags UInt8 CODEC(Default),
    SeverityText LowCardinality(String) CODEC(Default),
    SeverityNumber UInt8 CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    Body String CODEC(Default),
    ResourceSchemaUrl LowCardinality(String) CODEC(Default),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeSchemaUrl LowCardinality(String) CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion LowCardinality(String) CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    LogAttributes Map(LowCardinality(String), String) CODEC(Default),
    EventName String CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    ObservedTimestamp DateTime64(9) CODEC(Delta(8), Default),
    Event LowCardinality(String) CODEC(Default),
    SessionId String CODEC(Default),
    PromptId String CODEC(Default),
    RequestId String CODEC(Default),
    DroppedAttributesCount UInt32 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),
    ContentExpired Bool DEFAULT false CODEC(Default),

    INDEX idx_time Timestamp TYPE minmax GRANULARITY 1,
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_session_id SessionId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_request_id RequestId TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, toStartOfHour(Timestamp), ServiceName)
ORDER BY (Project, toStartOfHour(Timestamp), ServiceName, Timestamp, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
