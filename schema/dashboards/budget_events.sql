SELECT
    Timestamp,
    Budget,
    arrayStringConcat(Scope, ', ') AS Scopes,
    Type,
    Threshold,
    toFloat64(Spend) AS Spent,
    toFloat64(Limit) AS Of,
    Unit,
    IsHard
FROM budget_history
WHERE $__timeFilter(Timestamp)
ORDER BY Timestamp DESC
LIMIT 200
