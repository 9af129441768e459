-- How many calls `calls_page` reads in all. Read by: reprice, for its progress.
SELECT count() AS Calls
FROM otel_traces FINAL
WHERE Timestamp >= {since:DateTime}
  AND Timestamp < {until:DateTime}
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
  AND ({model:String} = '' OR ResponseModel = {model:String} OR RequestModel = {model:String})
