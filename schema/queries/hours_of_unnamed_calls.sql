-- A part: the hours of the runs with a call of the period that names no value itself, in any version.
SELECT (toStartOfHour(min(Start)), toStartOfHour(max(End)) + INTERVAL 1 HOUR)
FROM otel_traces_trace_id_ts
WHERE Project = {project:String} AND TraceId IN
(
    SELECT TraceId
    FROM otel_traces
    WHERE Project = {project:String} AND Timestamp >= since AND Timestamp < until AND Counted AND Named = ''
)
