-- The first input that each of some runs of a project has in the hour it began in, its root's before that of other
-- spans; cut to `length` bytes. `starts` (Unix seconds) and `trace_ids` are parallel
-- arrays.
SELECT TraceId, argMin(substring(Input, 1, {length:UInt64}), (ParentSpanId != '', Timestamp, SpanId)) AS Title
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND (toStartOfHour(Timestamp), TraceId) IN
      (
          SELECT toStartOfHour(toDateTime(place.1)), place.2
          FROM (SELECT arrayJoin(arrayZip({starts:Array(UInt32)}, {trace_ids:Array(String)})) AS place)
      )
  AND Input != ''
GROUP BY TraceId
