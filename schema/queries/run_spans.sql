-- Of every span of one trace in one project what the document of a run is made from (collector/runs/stored.py), oldest
-- first. Otherwise as trace.sql.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId = {trace_id:String}
)
SELECT
    Timestamp, SpanId, ParentSpanId, SpanName, ScopeName, SpanAttributes, Duration, StatusCode,
    Events.Name, Events.Attributes,
    Kind, Operation, Provider, RequestModel, ResponseModel, ResponseId, AgentName, ToolName,
    InputTokens, OutputTokens, CacheReadTokens, CacheWriteTokens, ReasoningTokens,
    Cost, PriceStatus, FinishReason, Input, Output, InputKey, OutputKey
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND TraceId = {trace_id:String}
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
ORDER BY Timestamp, SpanId
LIMIT {limit:UInt64}
