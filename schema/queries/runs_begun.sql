-- Traces with a span in the hours [`floor`, `ceiling`) of a project and the first such span (Unix nanoseconds) before
-- `before`, newest first. For a run that began in these hours this is its start; one that began earlier is here too.
SELECT TraceId, toUnixTimestamp64Nano(min(Timestamp)) AS Begun
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
  AND toStartOfHour(Timestamp) < toStartOfHour({ceiling:DateTime})
GROUP BY TraceId
HAVING Begun < {before:Int64}
ORDER BY Begun DESC
LIMIT {limit:UInt64} WITH TIES
