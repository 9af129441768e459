-- Of some evaluations, by run and id, the ids of those that are stored.
SELECT DISTINCT Id
FROM evaluations
WHERE TraceId IN {trace_ids:Array(String)} AND Id IN {ids:Array(String)}
