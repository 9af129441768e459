-- What has arrived at or after `since` in spans, by service: those it sent and those made of its logs, and what its calls
-- cost. Spans dated before `floor` are left out: which hours are read is bounded by it.
SELECT
    ServiceName AS Service,
    countIf(NOT startsWith(ScopeName, {derived:String})) AS Spans,
    countIf(PriceStatus IN ('priced', 'reported') OR UnpricedCall) AS Calls,
    countIf(PriceStatus IN ('priced', 'reported')) AS PricedCalls,
    countIf(Kind != 'tool' AND (Input NOT IN {redacted:Array(String)} OR Output NOT IN {redacted:Array(String)}))
        AS WithContent,
    sumIf(InputTokens, PriceStatus != 'rolled_up') AS InputTokens,
    sumIf(OutputTokens, PriceStatus != 'rolled_up') AS OutputTokens,
    toString(sum(Cost)) AS Cost,
    argMax(TraceId, (PriceStatus IN ('priced', 'reported'), Kind = 'llm', ReceivedAt)) AS Run,
    arraySort(groupUniqArrayIf(20)([Provider, if(ResponseModel = '', RequestModel, ResponseModel), PriceStatus],
        UnpricedCall)) AS Unpriced
FROM otel_traces FINAL
WHERE Project = {project:String}
  AND toStartOfHour(Timestamp) >= toStartOfHour(fromUnixTimestamp64Nano({floor:Int64}, 'UTC'))
  AND ReceivedAt >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
GROUP BY Service
ORDER BY Service
LIMIT 100
