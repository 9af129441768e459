SELECT ToolName AS Tool, ServiceName AS Agent, count() AS Calls, countIf(IsError) / count() AS Errors
FROM tool_calls
WHERE $__timeFilter(Timestamp) AND match(ServiceName, '(?i)claude[-_ ]?code|codex|gemini|qwen|copilot|cursor|opencode')
GROUP BY Tool, Agent
ORDER BY Calls DESC
LIMIT 50
