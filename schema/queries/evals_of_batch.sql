-- What one evaluator found in one batch.
SELECT if(Verdict = '', Status, Verdict) AS Found, count() AS Rows
FROM evaluations FINAL
WHERE Project = {project:String} AND Evaluator = {evaluator:String} AND Batch = {batch:String}
GROUP BY Found
