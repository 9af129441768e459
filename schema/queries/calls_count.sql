-- How many calls `calls_page` reads in all. Read by: reprice, for its progress.
SELECT count() AS Calls
FROM otel_traces FINAL
WHERE Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
  AND ({model:String} = '' OR ResponseModel = {model:String} OR RequestModel = {model:String})
