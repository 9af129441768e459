-- A part: runs of which, or of a span of which, the evaluator found the verdict; empty texts ask for any. Of each run or
-- span and evaluator the newest row counts.
run.TraceId IN
(
    SELECT TraceId
    FROM
    (
        SELECT TraceId, Verdict, Status
        FROM evaluations FINAL
        WHERE Project = {project:String} AND Vote = 0
          AND ({evaluator:String} = '' OR Evaluator = {evaluator:String})
        ORDER BY At DESC, Id
        LIMIT 1 BY TraceId, SpanId, Evaluator, Kind = 'human'
    )
    WHERE {verdict:String} = '' OR Verdict = {verdict:String} OR Status = {verdict:String}
) AS ByEvaluations
