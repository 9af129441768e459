-- Runs of all projects that are over and got their last span in (`after`, `before`], Unix nanoseconds, of those that began
-- from the hour `floor` on: as their sums were kept, those first that are settled longest.
SELECT * EXCEPT (Hour, Version, Gone)
FROM run_sums FINAL
WHERE Hour >= toStartOfHour({floor:DateTime})
  AND Folded = 0
  AND Purpose = ''
  AND Status != 'incomplete'
  AND toUnixTimestamp64Nano(LastReceived) > {after:Int64}
  AND toUnixTimestamp64Nano(LastReceived) <= {before:Int64}
ORDER BY LastReceived, Project, TraceId
LIMIT {limit:UInt64}
