SELECT $__timeInterval(Timestamp) AS time, ServiceName AS Agent, toFloat64(sum(Cost)) AS Cost
FROM calls
WHERE $__timeFilter(Timestamp) AND match(ServiceName, '(?i)claude[-_ ]?code|codex|gemini|qwen|copilot|cursor|opencode')
GROUP BY time, Agent
ORDER BY time
