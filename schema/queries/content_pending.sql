-- Days whose content is to be emptied: they have rows of which it was not, received before `overdue`, or before `cutoff`
-- where no row of the day was received later. A few at a time, and none while the engine works on some. Both times are
-- Unix nanoseconds. Read by: the retention of content.
SELECT toString(toDate(Timestamp)) AS Partition
FROM otel_traces
WHERE NOT ContentExpired
  AND (
    SELECT count()
    FROM system.mutations
    WHERE database = currentDatabase() AND table = 'otel_traces' AND NOT is_done AND command LIKE '%ContentExpired%'
  ) = 0
GROUP BY Partition
HAVING min(ReceivedAt) < fromUnixTimestamp64Nano({overdue:Int64}, 'UTC')
    OR max(ReceivedAt) < fromUnixTimestamp64Nano({cutoff:Int64}, 'UTC')
ORDER BY Partition
LIMIT 4
