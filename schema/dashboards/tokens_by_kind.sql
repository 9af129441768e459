SELECT
    $__timeInterval(Hour) AS time,
    sum(InputTokens - CacheReadTokens - CacheWriteTokens) AS Input,
    sum(CacheReadTokens) AS CacheRead,
    sum(CacheWriteTokens) AS CacheWrite,
    sum(OutputTokens) AS Output
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
GROUP BY time
ORDER BY time
