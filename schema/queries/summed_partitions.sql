-- Ten minutes of batches that began before `before` (Unix nanoseconds) and are all summed.
SELECT toString(toStartOfTenMinutes(At)) AS Ten
FROM runs_touched
GROUP BY Ten
HAVING toUnixTimestamp64Nano(max(At)) < {before:Int64} AND countIf(At NOT IN (SELECT At FROM runs_summed)) = 0
ORDER BY Ten
