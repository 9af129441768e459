-- How many of a project's runs that began in [`since`, `until`) have which service, agent, model, feature and status,
-- most first: of each, those that match all other filters.
WITH
    -- include run_filters
    ,
    ByService + ByAgent + ByModel + ByFeature + ByStatus AS Matched
SELECT Pair.1 AS Facet, Pair.2 AS Value, count() AS Runs
FROM
(
    SELECT arrayJoin(arrayConcat(
        if(Matched - ByService = 4, arrayMap(value -> ('service', toString(value)), run.Services), []),
        if(Matched - ByAgent = 4, arrayMap(value -> ('agent', toString(value)), run.Agents), []),
        if(Matched - ByModel = 4, arrayMap(value -> ('model', toString(value)), run.Models), []),
        if(Matched - ByFeature = 4, arrayMap(value -> ('feature', toString(value)), run.Features), []),
        if(Matched - ByStatus = 4, [('status', toString(run.Status))], []))) AS Pair
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
