-- What the matching runs of a project add up to in two windows: `Window` 0 is [`since`, `until`), 1 is the one it is
-- compared with, 2 the runs of window 0 that are folded away. Of window 0 also in steps of `step` nanoseconds, as rows with a `Step` from 0 on; -1 is the whole.
WITH
    -- include run_filters
    ,
    toUnixTimestamp64Nano(run.Start) AS Begun
SELECT
    Place.1 AS Window,
    Place.2 AS Step,
    count() AS Runs,
    countIf(run.Status = 'failed') AS FailedRuns,
    countIf(run.Errors > 0) AS RunsWithErrors,
    sum(run.Spans) AS Spans,
    sum(run.LlmCalls) AS LlmCalls,
    sum(run.ToolCalls) AS ToolCalls,
    sum(run.InputTokens) AS InputTokens,
    sum(run.CacheReadTokens) AS CacheReadTokens,
    sum(run.OutputTokens) AS OutputTokens,
    sum(run.Cost) AS Cost,
    sum(run.UnpricedCalls) AS UnpricedCalls,
    quantilesExact(0.05, 0.5, 0.95)(run.Duration) AS Durations,
    quantilesExact(0.05, 0.5, 0.95)(ifNull(run.Cost, 0)) AS Costs
FROM
(
    -- include current_runs
) AS run
ARRAY JOIN arrayFilter(place -> place.1 >= 0, if(NOT ByFolded, [
    (if(Begun >= {since:Int64} AND Begun < {until:Int64}, 2, -1), toInt64(-1))], [
    (if(Begun >= {since:Int64} AND Begun < {until:Int64}, 0, -1), toInt64(-1)),
    (if({step:Int64} > 0 AND Begun >= {since:Int64} AND Begun < {until:Int64}, 0, -1),
        intDiv(Begun - {since:Int64}, greatest({step:Int64}, 1))),
    (if(Begun >= {other_since:Int64} AND Begun < {other_until:Int64}, 1, -1), toInt64(-1))])) AS Place
WHERE ByService AND ByAgent AND ByModel AND ByFeature AND ByStatus AND ByProblem AND ByValues AND BySpans AND ByEvaluations
GROUP BY Place
ORDER BY Window, Step
