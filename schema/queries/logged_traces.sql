-- Of some traces those with model calls that logs told of. Read by: the drain, when spans arrive that may tell of the same
-- calls. `projects` and `names` (trace ids) are parallel arrays.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {names:Array(String)}
)
SELECT DISTINCT Project, TraceId AS Name
FROM otel_traces
WHERE (Project, TraceId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {names:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
  AND startsWith(ScopeName, {derived:String})
  AND InputTokens + OutputTokens > 0
