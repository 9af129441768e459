-- The log records that tell of some sessions of coding agents, of each the one received last. Read by: the drain, when
-- records of these sessions arrive. `projects` and `sessions` are parallel arrays.
SELECT
    Project, SessionId, PromptId, TraceId, SpanId, Event, ScopeName, ScopeVersion, ServiceName, ResourceSchemaUrl,
    ResourceAttributes, LogAttributes, RowKey,
    toUnixTimestamp64Nano(Timestamp) AS At,
    toUnixTimestamp64Nano(ReceivedAt) AS Received
FROM otel_logs
WHERE (Project, SessionId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {sessions:Array(String)})))
  AND Event IN {events:Array(String)}
  AND toStartOfHour(Timestamp) >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64}, 'UTC'))
  AND toStartOfHour(Timestamp) <= toStartOfHour(fromUnixTimestamp64Nano({until:Int64}, 'UTC'))
ORDER BY Project, SessionId, At, RowKey, Received DESC
LIMIT 1 BY Project, SessionId, At, RowKey
