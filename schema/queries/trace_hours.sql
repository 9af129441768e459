-- A part: the first and the last hour in which one trace has spans. (Project, hour) leads the sort key of its spans.
SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
FROM otel_traces_trace_id_ts
WHERE TraceId = {trace_id:String}
