-- Conversations of a project of which matching runs began in [`since`, `until`), those with the latest run first, and of
-- those the ones after (`after`, `after_id`).
WITH
    -- include run_filters
SELECT
    run.ConversationId AS ConversationId,
    count() AS Runs,
    min(run.Start) AS FirstStart,
    max(run.Start) AS LastStart,
    max(run.End) AS LastEnd,
    countIf(run.Errors > 0) AS RunsWithErrors,
    sum(run.LlmCalls) AS LlmCalls,
    sum(run.InputTokens) AS InputTokens,
    sum(run.OutputTokens) AS OutputTokens,
    sum(run.Cost) AS Cost,
    sum(run.UnpricedCalls) AS UnpricedCalls,
    arraySort(groupUniqArrayArray(100)(run.Agents)) AS Agents,
    arraySort(groupUniqArrayArray(100)(run.Models)) AS Models,
    argMinIf(run.UserId, (run.Start, run.TraceId), run.UserId != '') AS UserId
FROM
(
    -- include current_runs
) AS run
WHERE toUnixTimestamp64Nano(run.Start) >= {since:Int64}
  AND toUnixTimestamp64Nano(run.Start) < {until:Int64}
  AND run.ConversationId != ''
  AND ByService AND ByAgent AND ByModel AND ByFeature AND ByStatus AND ByProblem AND ByFolded AND ByValues AND BySpans AND ByEvaluations
GROUP BY run.ConversationId
HAVING toUnixTimestamp64Nano(LastStart) < {after:Int64}
    OR (toUnixTimestamp64Nano(LastStart) = {after:Int64} AND ConversationId > {after_id:String})
ORDER BY LastStart DESC, ConversationId
LIMIT {limit:UInt64}
