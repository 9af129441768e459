-- Whole rows of billed spans that tell of calls which logs tell of, to be stored again as rolled up. Read by: the drain,
-- when the first of these logs arrive. Of either pair of parallel arrays an entry is enough.
SELECT *
FROM otel_traces FINAL
WHERE (
    (Project, TraceId) IN (SELECT arrayJoin(arrayZip({trace_projects:Array(String)}, {traces:Array(String)})))
    OR (Project, ConversationId) IN (SELECT arrayJoin(arrayZip({session_projects:Array(String)}, {sessions:Array(String)})))
  )
  AND toStartOfHour(Timestamp) >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64}, 'UTC'))
  AND toStartOfHour(Timestamp) <= toStartOfHour(fromUnixTimestamp64Nano({until:Int64}, 'UTC'))
  AND ServiceName IN {services:Array(String)}
  AND arrayExists(scope -> startsWith(ScopeName, scope), {scopes:Array(String)})
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
