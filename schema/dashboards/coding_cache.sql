SELECT ServiceName AS Agent, sum(CacheReadTokens) / sum(InputTokens) AS ReadFromCache
FROM calls
WHERE $__timeFilter(Timestamp) AND InputTokens > 0
    AND match(ServiceName, '(?i)claude[-_ ]?code|codex|gemini|qwen|copilot|cursor|opencode')
GROUP BY Agent
ORDER BY Agent
