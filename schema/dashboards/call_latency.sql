SELECT
    $__timeInterval(Timestamp) AS time,
    quantileTDigest(0.5)(DurationNs) / 1e9 AS p50,
    quantileTDigest(0.95)(DurationNs) / 1e9 AS p95,
    quantileTDigest(0.99)(DurationNs) / 1e9 AS p99
FROM calls
WHERE $__timeFilter(Timestamp) AND Purpose = ''
GROUP BY time
ORDER BY time
