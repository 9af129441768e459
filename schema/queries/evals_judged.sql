-- Which evaluators have judged which runs as they are now: of a whole batch, votes left out.
SELECT DISTINCT TraceId, Evaluator, Revision, InputHash
FROM evaluations
WHERE Project = {project:String} AND TraceId IN {trace_ids:Array(String)} AND Vote = 0
