SELECT
    Timestamp AS time,
    arrayStringConcat(arrayConcat([Budget], Scope), ' / ') AS Name,
    toFloat64(Spend) / toFloat64(Limit) AS Fraction
FROM budget_history
WHERE $__timeFilter(Timestamp) AND Limit > 0
ORDER BY time
