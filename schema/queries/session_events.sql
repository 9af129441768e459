-- The log records that tell of some turns of sessions of coding agents, of each the one received last. Read by: the
-- drain, when records of these turns arrive.
SELECT
    Project, SessionId, PromptId, TraceId, SpanId, Event, ScopeName, ScopeVersion, ServiceName, ResourceSchemaUrl,
    ResourceAttributes, LogAttributes, RowKey,
    toUnixTimestamp64Nano(Timestamp) AS At,
    toUnixTimestamp64Nano(ReceivedAt) AS Received
FROM otel_logs
-- include turn_records
ORDER BY Project, SessionId, At, RowKey, Received DESC
LIMIT 1 BY Project, SessionId, At, RowKey
