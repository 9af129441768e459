-- Whole rows of some spans, to be stored again with another verdict. The three arrays are parallel.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
)
SELECT *
FROM otel_traces FINAL
WHERE (Project, TraceId, SpanId) IN
    (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)}, {span_ids:Array(String)})))
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
