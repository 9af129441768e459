SELECT
    if(AgentName = '', ServiceName, AgentName) AS Agent,
    count() AS Runs,
    countIf(Errors > 0) / count() AS WithErrors,
    quantileTDigest(0.5)(Duration) / 1e9 AS p50,
    quantileTDigest(0.95)(Duration) / 1e9 AS p95,
    toFloat64(sum(Cost)) / count() AS CostPerRun
FROM runs
WHERE $__timeFilter(Start) AND Purpose = ''
GROUP BY Agent
ORDER BY Runs DESC
LIMIT 50
