-- Traces of a project that began in the hours [`floor`, `ceiling`) and have, in any version, a span of the model or
-- feature asked for. `Begun` is their start, cut to the second, in Unix nanoseconds; newest first, all before `before`.
SELECT TraceId, toInt64(toUnixTimestamp(min(Start))) * 1000000000 AS Begun
FROM otel_traces_trace_id_ts
WHERE TraceId IN
  (
      SELECT DISTINCT TraceId
      FROM otel_traces
      WHERE Project = {project:String}
        AND toStartOfHour(Timestamp) >= toStartOfHour({floor:DateTime})
        AND (({model:String} != ''
                AND (ResponseModel = {model:String} OR (ResponseModel = '' AND RequestModel = {model:String})))
            OR ({model:String} = '' AND Feature = {feature:String}))
  )
GROUP BY Project, TraceId
HAVING Project = {project:String}
   AND min(Start) >= toStartOfHour({floor:DateTime})
   AND min(Start) < toStartOfHour({ceiling:DateTime})
   AND Begun < {before:Int64}
ORDER BY Begun DESC
LIMIT {limit:UInt64} WITH TIES
