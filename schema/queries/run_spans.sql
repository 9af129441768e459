-- Of every span of one trace in one project what the document of a run is made from (collector/runs/stored.py). Otherwise
-- as trace.sql, but in the order of the table's key, which costs no sorting: when there are more than the limit, spans
-- of the first hours are answered.
WITH lookup AS
(
    -- include trace_hours
)
SELECT
    -- include run_document_columns
FROM otel_traces FINAL
WHERE
  -- include spans_of_trace
ORDER BY Project, toStartOfHour(Timestamp), TraceId, SpanId
LIMIT {limit:UInt64}
