-- Runs of a project of which the kept sums are not those of their spans, each with the first and last of the hours in
-- which it has spans.
SELECT
    TraceId,
    toUnixTimestamp(toStartOfHour(min(Start))) AS First,
    toUnixTimestamp(toStartOfHour(max(End))) AS Last
FROM otel_traces_trace_id_ts
WHERE Project = {project:String}
  AND TraceId IN
  (
      -- include unsummed_runs
      LIMIT {limit:UInt64}
  )
GROUP BY TraceId
