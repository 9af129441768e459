-- A page of the billed calls of a period, whole rows, in key order after (`project`, `hour`, `trace_id`, `span_id`).
-- Read by: reprice. An empty `model` means every model.
SELECT *, toUInt32(toStartOfHour(Timestamp)) AS KeyHour
FROM otel_traces FINAL
WHERE Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
  AND ({model:String} = '' OR ResponseModel = {model:String} OR RequestModel = {model:String})
  AND (Project, toStartOfHour(Timestamp), TraceId, SpanId)
      > ({project:String}, toDateTime({hour:UInt32}), {trace_id:String}, {span_id:String})
ORDER BY Project, toStartOfHour(Timestamp), TraceId, SpanId
LIMIT {limit:UInt64}
