-- What budgets need of the stored spans of some traces. Read by: the ledger, when a span arrives of a trace that is no
-- longer in memory. `projects` and `trace_ids` are parallel arrays.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
)
SELECT
    Timestamp, Project, TraceId, SpanId, ParentSpanId, Version, ServiceName, Kind, StatusCode, PriceStatus, Cost,
    Provider, RequestModel, ResponseModel, AgentName, Feature, UserId, ConversationId, Purpose, InputTokens, OutputTokens,
    mapFilter((key, value) -> has({attribute_keys:Array(String)}, key), SpanAttributes) AS SpanAttributes,
    mapFilter((key, value) -> has({attribute_keys:Array(String)}, key), ResourceAttributes) AS ResourceAttributes
FROM otel_traces FINAL
WHERE (Project, TraceId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
  AND (PriceStatus IN ('priced', 'reported', 'unknown_model', 'rolled_up')
      OR (Kind = 'llm' AND PriceStatus = 'no_usage')
      OR AgentName != '' OR Feature != '' OR UserId != '' OR ConversationId != ''
      OR mapExists((key, value) -> has({attribute_keys:Array(String)}, key), SpanAttributes))
