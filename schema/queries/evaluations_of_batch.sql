-- Evaluations of an evaluator in a batch, votes apart, by run and span, after those that (`after_run`, `after_span`) names.
SELECT *
FROM evaluations FINAL
WHERE Project = {project:String} AND Evaluator = {evaluator:String} AND Batch = {batch:String} AND Vote = 0
  AND (TraceId, SpanId) > ({after_run:String}, {after_span:String})
ORDER BY TraceId, SpanId
LIMIT {limit:UInt64}
