-- Content that the stored rows of some spans have, the latest of each side, of as many of the spans as have no more than
-- `bytes` together. The three arrays are parallel. Read by: the drain, before rows are stored that replace these.
WITH lookup AS
(
    SELECT toStartOfHour(min(Start)) AS first, toStartOfHour(max(End)) AS last
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
),
sized AS
(
    SELECT Project, TraceId, SpanId, sum(length(Input) + length(Output)) AS Bytes
    FROM otel_traces
    WHERE (Project, TraceId, SpanId) IN
        (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)}, {span_ids:Array(String)})))
      AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
      AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
    GROUP BY Project, TraceId, SpanId
    HAVING Bytes > 0
),
chosen AS
(
    SELECT Project, TraceId, SpanId
    FROM (SELECT *, sum(Bytes) OVER (ORDER BY Bytes, Project, TraceId, SpanId) AS Total FROM sized)
    WHERE Total <= {bytes:UInt64}
)
SELECT
    Project, TraceId, SpanId,
    argMaxIf(span.InputKey, span.Version, span.Input != '') AS InputKey,
    argMaxIf(span.Input, span.Version, span.Input != '') AS Input,
    argMaxIf(span.OutputKey, span.Version, span.Output != '') AS OutputKey,
    argMaxIf(span.Output, span.Version, span.Output != '') AS Output
FROM otel_traces AS span
WHERE (Project, TraceId, SpanId) IN (SELECT Project, TraceId, SpanId FROM chosen)
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
GROUP BY Project, TraceId, SpanId
