SELECT UserId AS User, ServiceName AS Agent, uniqExact(TraceId) AS Runs, count() AS Calls, toFloat64(sum(Cost)) AS Cost
FROM calls
WHERE $__timeFilter(Timestamp) AND match(ServiceName, '(?i)claude[-_ ]?code|codex|gemini|qwen|copilot|cursor|opencode')
GROUP BY User, Agent
ORDER BY Cost DESC
LIMIT 100
