-- A part: in place of names_of_runs, where sums of runs have the value: of runs that began at most a week before `since`.
SELECT
    TraceId,
    multiIf(
        {by:String} = 'agent', toString(AgentName),
        {by:String} = 'feature', toString(Feature),
        UserId) AS RunNamed
FROM
(
    -- include current_runs
)
WHERE RunNamed != ''
