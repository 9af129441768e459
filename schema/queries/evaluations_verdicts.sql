-- Of an evaluator's newest revision the verdicts that count, by verdict: how many, and weighted by the inverse of the
-- probability with which they were sampled.
SELECT Verdict, count() AS Verdicts, sum(1 / Probability) AS Weight
FROM
(
    SELECT Verdict, Probability
    FROM evaluations FINAL
    WHERE Project = {project:String} AND Evaluator = {evaluator:String} AND Kind != 'human' AND Vote = 0
      AND Revision =
      (
          SELECT argMax(Revision, At)
          FROM evaluations
          WHERE Project = {project:String} AND Evaluator = {evaluator:String} AND Kind != 'human' AND Vote = 0
      )
    ORDER BY At DESC, Id
    LIMIT 1 BY TraceId, SpanId
)
WHERE Verdict != ''
GROUP BY Verdict
ORDER BY Verdict
