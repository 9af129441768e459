-- A part: in place of runs_to_rank, with the number of verdicts that a run and its spans failed.
SELECT listed.*, judged.Failed AS Failed
FROM
(
    -- include current_runs
) AS listed
LEFT ANY JOIN
(
    SELECT TraceId, countIf(Verdict = 'fail') AS Failed
    FROM
    (
        SELECT TraceId, Verdict
        FROM evaluations FINAL
        WHERE Project = {project:String} AND Vote = 0
        ORDER BY At DESC, Id
        LIMIT 1 BY TraceId, SpanId, Evaluator, Kind = 'human'
    )
    GROUP BY TraceId
) AS judged ON judged.TraceId = listed.TraceId
