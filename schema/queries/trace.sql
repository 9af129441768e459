-- Every span of one trace in one project, each once, oldest first.
-- The lookup narrows the read to the trace's hours: (Project, hour) leads the sort key.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId = {trace_id:String}
)
SELECT *
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND TraceId = {trace_id:String}
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
ORDER BY Timestamp, SpanId
LIMIT {limit:UInt64}
