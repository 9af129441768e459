-- How many of a project's runs that began in [`since`, `until`) have which service, agent, model, feature, status and
-- problem, most first: of each, those that match all other filters.
WITH
    -- include run_filters
    ,
    ByService + ByAgent + ByModel + ByFeature + ByStatus + ByProblem AS Matched
SELECT Pair.1 AS Facet, Pair.2 AS Value, count() AS Runs
FROM
(
    SELECT arrayJoin(arrayConcat(
        if(Matched - ByService = 5, arrayMap(value -> ('service', toString(value)), run.Services), []),
        if(Matched - ByAgent = 5, arrayMap(value -> ('agent', toString(value)), run.Agents), []),
        if(Matched - ByModel = 5, arrayMap(value -> ('model', toString(value)), run.Models), []),
        if(Matched - ByFeature = 5, arrayMap(value -> ('feature', toString(value)), run.Features), []),
        if(Matched - ByStatus = 5, [('status', toString(run.Status))], []),
        if(Matched - ByProblem = 5, arrayFilter(problem -> problem.2 != '', [
            ('problem', if(run.Errors > 0, 'errors', '')),
            ('problem', if(run.UnpricedCalls > 0, 'unpriced', '')),
            ('problem', if(
                -- include any_failed_evals
                , 'failed_evals', ''))]), []))) AS Pair
    FROM
    (
        -- include current_runs
    ) AS run
    WHERE toUnixTimestamp64Nano(run.Start) >= {since:Int64}
      AND toUnixTimestamp64Nano(run.Start) < {until:Int64}
      AND ByFolded AND ByValues AND BySpans AND ByEvaluations
)
GROUP BY Pair
ORDER BY Facet, Runs DESC, Value
LIMIT {limit:UInt64} BY Facet
