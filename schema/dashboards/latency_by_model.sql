SELECT
    Model,
    count() AS Calls,
    countIf(IsError) / count() AS Errors,
    quantileTDigest(0.5)(DurationNs) / 1e9 AS p50,
    quantileTDigest(0.95)(DurationNs) / 1e9 AS p95
FROM calls
WHERE $__timeFilter(Timestamp) AND Purpose = ''
GROUP BY Model
ORDER BY Calls DESC
LIMIT 50
