-- Evaluations of a project, the newest first, and of those the ones after (`after`, `after_id`). Empty texts ask for
-- nothing. `current`: of each run or span and evaluator only the one that counts.
SELECT *
FROM
(
    SELECT *
    FROM evaluations FINAL
    WHERE Project = {project:String}
      AND (empty({trace_ids:Array(String)}) OR TraceId IN {trace_ids:Array(String)})
      AND ({evaluator:String} = '' OR Evaluator = {evaluator:String})
      AND (Vote = 0 OR {current:UInt8} = 0)
    ORDER BY At DESC, Id
    LIMIT if({current:UInt8} = 1, 1, 1000000) BY TraceId, SpanId, Evaluator, Kind = 'human'
)
WHERE ({verdict:String} = '' OR Verdict = {verdict:String})
  AND ({status:String} = '' OR Status = {status:String})
  AND ({kind:String} = '' OR Kind = {kind:String})
  AND ({batch:String} = '' OR Batch = {batch:String})
  AND toUnixTimestamp64Nano(At) >= {since:Int64} AND toUnixTimestamp64Nano(At) < {until:Int64}
  AND (toUnixTimestamp64Nano(At) < {after:Int64}
    OR (toUnixTimestamp64Nano(At) = {after:Int64} AND Id > {after_id:String}))
ORDER BY At DESC, Id
LIMIT {limit:UInt64}
