-- Days of log records whose content is to be emptied, as content_pending.sql has those of spans. Read by: the retention
-- of content.
SELECT toString(Day) AS Partition
FROM otel_logs
WHERE NOT ContentExpired
  AND (
    SELECT count()
    FROM system.mutations
    WHERE database = currentDatabase() AND table = 'otel_logs' AND NOT is_done AND command LIKE '%ContentExpired%'
  ) = 0
GROUP BY Partition
HAVING min(ReceivedAt) < fromUnixTimestamp64Nano({overdue:Int64}, 'UTC')
    OR max(ReceivedAt) < fromUnixTimestamp64Nano({cutoff:Int64}, 'UTC')
ORDER BY Partition
LIMIT 4
