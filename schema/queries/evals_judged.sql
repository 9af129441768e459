-- Which evaluators have judged which runs as they are now: of a whole batch, votes left out. What a judge's server or budget
-- kept from being judged says nothing of the run, and does not count; the revision is without the model that answered.
SELECT DISTINCT TraceId, Evaluator, splitByChar('@', toString(Revision))[1] AS Revision, InputHash
FROM evaluations
WHERE Project = {project:String} AND TraceId IN {trace_ids:Array(String)} AND Vote = 0
  AND NOT (Kind = 'judge' AND Status IN ('skipped', 'error') AND ErrorType IN {passing:Array(String)})
