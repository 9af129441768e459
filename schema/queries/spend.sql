-- What a project spent in a period, by one dimension. Every call counts once; calls without a price are counted apart.
SELECT
    multiIf(
        {by:String} = 'model', if(ResponseModel = '', RequestModel, ResponseModel),
        {by:String} = 'provider', Provider,
        {by:String} = 'service', ServiceName,
        {by:String} = 'agent', AgentName,
        {by:String} = 'feature', Feature,
        {by:String} = 'user', UserId,
        {by:String} = 'day', toString(toDate(Timestamp)),
        '') AS Value,
    sum(Cost) AS Cost,
    countIf(PriceStatus IN ('priced', 'reported')) AS PricedCalls,
    countIf(PriceStatus = 'unknown_model') AS UnpricedCalls,
    sum(InputTokens) AS InputTokens,
    sum(OutputTokens) AS OutputTokens,
    sum(CacheReadTokens) AS CacheReadTokens
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND Timestamp >= {since:DateTime}
  AND Timestamp < {until:DateTime}
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
GROUP BY Value
ORDER BY Cost DESC NULLS LAST, Value
