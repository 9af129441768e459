-- A part: the value of each run: the earliest that a span of it names, at most a week before `since` or after `until`.
SELECT TraceId, argMin(NamedForRun, (Timestamp, SpanId)) AS RunNamed
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND Timestamp >= greatest(hours.1, since - INTERVAL 7 DAY)
  AND Timestamp < least(hours.2, until + INTERVAL 7 DAY)
  AND NamedForRun != ''
GROUP BY TraceId
