-- The spans that log records of the last hour may have content of, newest first. Read by: the start, so that spans
-- which come later find it.
SELECT Project, TraceId, SpanId
FROM otel_logs
WHERE Timestamp > now() - INTERVAL 1 HOUR AND Timestamp < now() + INTERVAL 1 HOUR
  AND arrayExists(prefix -> startsWith(Event, prefix), {events:Array(String)})
  AND SpanId != ''
GROUP BY Project, TraceId, SpanId
ORDER BY max(Timestamp) DESC
LIMIT {limit:UInt64}
