-- The run of a span that is known by its id alone; of several with this id, which only chance or a test makes, the newest.
SELECT TraceId
FROM otel_traces
WHERE Project = {project:String}
  AND SpanId = {span_id:String}
  AND TraceId != ''
ORDER BY Timestamp DESC
LIMIT 1
