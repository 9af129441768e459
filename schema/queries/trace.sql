-- Every span of one trace in one project, each once, oldest first.
-- The lookup narrows the read to the trace's hours: (Project, hour) leads the sort key.
WITH lookup AS
(
    -- include trace_hours
)
SELECT *
FROM otel_traces FINAL
WHERE
  -- include spans_of_trace
ORDER BY Timestamp, SpanId
LIMIT {limit:UInt64}
