-- What a project spent in a period, by a dimension that a span may name for its whole run: `by` is agent, feature or
-- user, or an attribute. Otherwise as spend.sql.
--
-- The value of a call is its own, else its run's: the earliest that a span of the run names, at most a week before
-- `since` or after `until`. `hours` are those of the runs with a call that has none itself, in any version.
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
    sum(call.Cost) AS Cost,
    countIf(call.PriceStatus IN ('priced', 'reported')) AS PricedCalls,
    countIf(call.UnpricedCall) AS UnpricedCalls,
    sum(call.InputTokens) AS InputTokens,
    sum(call.OutputTokens) AS OutputTokens,
    sum(call.CacheReadTokens) AS CacheReadTokens
FROM
(
    SELECT TraceId, Named, PriceStatus, UnpricedCall, Cost, InputTokens, OutputTokens, CacheReadTokens
    FROM otel_traces FINAL
    WHERE Project = {project:String} AND Timestamp >= since AND Timestamp < until AND Counted
) AS call
LEFT JOIN
(
    -- include names_of_runs
) AS run ON call.TraceId = run.TraceId
GROUP BY Value
ORDER BY Cost DESC NULLS LAST, Value
