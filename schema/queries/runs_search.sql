-- Runs of a project that began in [`since`, `until`), in the hours [`floor`, `ceiling`), and match, in the order of `sort`,
-- and of those the ones after the run (`after`, `after_id`). `Rank` is what they are ordered by, highest first. The columns
-- before it begin with those of the view `runs`, which reads every span of the table.
WITH
    -- include run_filters
    ,
    {sign:Int8} * multiIf(
        {sort:String} = 'cost', toInt64(ifNull(run.Cost, -1) * 1000000000000),
        {sort:String} = 'duration', toInt64(least(run.Duration, 9000000000000000000)),
        {sort:String} = 'failed',
            -- include no_failures
            ,
        {sort:String} = 'tokens', toInt64(least(run.InputTokens + run.OutputTokens, 9000000000000000000)),
        toUnixTimestamp64Nano(run.Start)) AS Rank
SELECT *, Rank
FROM
(
    -- include runs_to_rank
) AS run
WHERE toUnixTimestamp64Nano(run.Start) >= {since:Int64}
  AND toUnixTimestamp64Nano(run.Start) < {until:Int64}
  AND ByService AND ByAgent AND ByModel AND ByFeature AND ByStatus AND ByProblem AND ByFolded AND ByValues AND BySpans AND ByEvaluations
  AND (Rank < {after:Int64} OR (Rank = {after:Int64} AND run.TraceId > {after_id:String}))
ORDER BY Rank DESC, run.TraceId
LIMIT {limit:UInt64}
