-- A part: whether an evaluator found `fail` of a run that began in the hours from `floor` on, or of a span of it. Of each
-- run or span and evaluator the newest row counts.
run.TraceId IN
(
    SELECT TraceId
    FROM
    (
        SELECT TraceId, Verdict
        FROM evaluations FINAL
        PREWHERE At >= {floor:DateTime}
        WHERE Project = {project:String} AND Vote = 0
        ORDER BY At DESC, Id
        LIMIT 1 BY TraceId, SpanId, Evaluator, Kind = 'human'
    )
    WHERE Verdict = 'fail'
)
