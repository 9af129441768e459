-- The log records that may have content of some spans, each once, in the order of their times. Read by: the drain, when
-- such records or the spans arrive. The three arrays are parallel; `events` is how the names of the events begin.
SELECT Project, TraceId, SpanId, Event, Body, LogAttributes
FROM otel_logs
WHERE (Project, TraceId, SpanId) IN
    (SELECT arrayJoin(arrayZip({projects:Array(String)}, {trace_ids:Array(String)}, {span_ids:Array(String)})))
  AND TraceId IN {trace_ids:Array(String)}
  AND arrayExists(prefix -> startsWith(Event, prefix), {events:Array(String)})
ORDER BY Timestamp, ObservedTimestamp, RowKey
LIMIT 1 BY Project, TraceId, SpanId, RowKey
