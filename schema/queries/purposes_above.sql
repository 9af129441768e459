-- The spans of some traces with what they were made for. Read by: the drain, when a trace has a span that was not made for
-- the product. `projects` and `trace_ids` are parallel arrays.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
)
SELECT Project, TraceId, SpanId, ParentSpanId, Purpose
FROM otel_traces FINAL
WHERE (Project, TraceId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
