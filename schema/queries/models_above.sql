-- The spans of some traces with the models they name, and whether a span is a call whose price lacks one. Read by: the
-- drain, when spans arrive of libraries that name the model on a span above the call's. `projects` and `trace_ids` are
-- parallel arrays; `scopes` is how the scopes of these libraries begin.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
)
SELECT
    Project, TraceId, SpanId, ParentSpanId, RequestModel,
    RequestModel = '' AND ResponseModel = '' AND PriceStatus = 'unknown_model' AS Lacks
FROM otel_traces FINAL
WHERE (Project, TraceId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
  AND arrayExists(scope -> startsWith(ScopeName, scope), {scopes:Array(String)})
