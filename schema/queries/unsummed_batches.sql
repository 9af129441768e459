-- Batches of touched runs that are not summed, the latest first, with the runs in each.
SELECT toUnixTimestamp64Nano(At) AS Stamp, count() AS Runs
FROM runs_touched
WHERE At NOT IN (SELECT At FROM runs_summed)
GROUP BY At
ORDER BY At DESC
LIMIT {limit:UInt64}
