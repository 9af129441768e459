-- Runs of a project of which the kept sums are not those of their spans, each with the first and last of the hours in
-- which it has spans: of the runs that have, or had, spans in the hours [`floor`, `ceiling`), or an hour beside these.
SELECT
    TraceId,
    toUnixTimestamp(toStartOfHour(min(Start))) AS First,
    toUnixTimestamp(toStartOfHour(max(End))) AS Last
FROM otel_traces_trace_id_ts
WHERE Project = {project:String}
  AND TraceId IN
  (
      -- include unsummed_runs
  )
GROUP BY TraceId
HAVING First < toUnixTimestamp({ceiling:DateTime}) + 3600 AND Last >= toUnixTimestamp({floor:DateTime}) - 7200
LIMIT {limit:UInt64}
