-- What a project spent in a period by a dimension (`by`: agent, feature, user or service, or an attribute), and by what `split` names:
-- model, day of `zone`, price_entry, provider, purpose. Whose a call is: as spend_of_runs.sql. `InputAmount` was charged for the input tokens that no cache had.
WITH
    fromUnixTimestamp64Nano({since:Int64}, 'UTC') AS since,
    fromUnixTimestamp64Nano({until:Int64}, 'UTC') AS until,
    (PriceStatus IN ('priced', 'reported') OR UnpricedCall)
        AND ({purpose:String} = '*' OR Purpose = {purpose:String}) AS Counted,
    -- include named_by_column
    ,
    (
        -- include hours_of_unnamed_calls
    ) AS hours
SELECT
    if(call.Named = '', run.RunNamed, call.Named) AS Value,
    if(has({split:Array(String)}, 'model'), call.CallModel, '') AS Model,
    if(has({split:Array(String)}, 'day'), toString(toDate(call.Timestamp, {zone:String})), '') AS Day,
    if(has({split:Array(String)}, 'price_entry'), toString(call.PriceRef), '') AS PriceEntry,
    if(has({split:Array(String)}, 'provider'), toString(call.Provider), '') AS Provider,
    if(has({split:Array(String)}, 'purpose'), toString(call.Purpose), '') AS Purpose,
    sum(call.Cost) AS Cost,
    countIf(NOT call.UnpricedCall) AS PricedCalls,
    countIf(call.UnpricedCall) AS UnpricedCalls,
    countIf(call.PriceStatus = 'unknown_model') AS UnknownModelCalls,
    sum(call.InputTokens) AS InputTokens,
    sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens,
    sum(call.CacheWriteTokens) AS CacheWriteTokens,
    sum(call.CostDetails['input']) AS InputAmount,
    sum(call.CostDetails['cache_read']) AS CacheReadAmount,
    sum(call.CostDetails['cache_write'] + call.CostDetails['cache_write_1h']) AS CacheWriteAmount
FROM
(
    SELECT
        TraceId, Timestamp, Named, Provider, Purpose, PriceRef, PriceStatus, UnpricedCall, Cost, InputTokens, OutputTokens,
        CacheReadTokens, CacheWriteTokens, CostDetails, toString(if(ResponseModel = '', RequestModel, ResponseModel)) AS CallModel
    FROM otel_traces FINAL
    WHERE Project = {project:String} AND Timestamp >= since AND Timestamp < until AND Counted
) AS call
LEFT JOIN
(
    -- include names_of_runs
) AS run ON call.TraceId = run.TraceId
GROUP BY Value, Model, Day, PriceEntry, Provider, Purpose
ORDER BY Cost DESC NULLS LAST, Value, Model, Day, PriceEntry, Provider, Purpose
LIMIT {limit:UInt64}
