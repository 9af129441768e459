SELECT Start, TraceId, RootName, ServiceName, LlmCalls, ToolCalls, toFloat64(Cost) AS USD
FROM runs
WHERE $__timeFilter(Start) AND Purpose = '' AND isNotNull(Cost)
ORDER BY Cost DESC
LIMIT 20
