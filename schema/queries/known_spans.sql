-- What the verdict needs of the stored spans of some traces. Read by: the drain, when a span of a trace arrives that is
-- no longer in memory. `projects` and `trace_ids` are parallel arrays.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
)
SELECT
    Project, TraceId, SpanId, ParentSpanId, ServiceName, ScopeName, Kind, ResponseId, Provider, RequestModel, ResponseModel,
    PriceStatus, Duration, Version,
    toUnixTimestamp64Nano(Timestamp) AS StartNano,
    InputTokens, OutputTokens, CacheReadTokens, CacheWriteTokens, ReasoningTokens, UsageDetails
FROM otel_traces FINAL
WHERE (Project, TraceId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
