-- What a project spent in a period, by a dimension that the row of a call has; spend_of_runs.sql for the others. Every
-- call counts once; calls without a price are counted apart. `purpose` is that of the calls: '' the product's, * any.
SELECT
    multiIf(
        {by:String} = 'model', if(ResponseModel = '', RequestModel, ResponseModel),
        {by:String} = 'provider', Provider,
        {by:String} = 'service', ServiceName,
        {by:String} = 'day', toString(toDate(Timestamp)),
        {by:String} = 'purpose', Purpose,
        '') AS Value,
    sum(Cost) AS Cost,
    countIf(PriceStatus IN ('priced', 'reported')) AS PricedCalls,
    countIf(UnpricedCall) AS UnpricedCalls,
    sum(InputTokens) AS InputTokens,
    sum(OutputTokens) AS OutputTokens,
    sum(CacheReadTokens) AS CacheReadTokens
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
  AND (PriceStatus IN ('priced', 'reported') OR UnpricedCall)
  AND ({purpose:String} = '*' OR Purpose = {purpose:String})
GROUP BY Value
ORDER BY Cost DESC NULLS LAST, Value
