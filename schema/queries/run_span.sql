-- One span of a trace with the columns of run_spans.sql: what its conversation is read from.
WITH lookup AS
(
    -- include trace_hours
)
SELECT
    -- include run_document_columns
FROM otel_traces FINAL
WHERE
  -- include spans_of_trace
  AND SpanId = {span_id:String}
LIMIT 1
