-- The traces that received spans last. Read by: the start, so that their late spans are known to be late, and of the newest
-- what they report is loaded.
SELECT Project, TraceId
FROM otel_traces_trace_id_ts
GROUP BY Project, TraceId
ORDER BY max(ReceivedAt) DESC
LIMIT {limit:UInt64}
