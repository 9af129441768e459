-- Every run of some conversations, each conversation's in order of time, as their sums were kept.
SELECT * EXCEPT (Hour, Version, Gone)
FROM run_sums FINAL
WHERE Project = {project:String}
  AND ConversationId IN {conversations:Array(String)}
  AND Folded = 0
  AND Purpose = ''
ORDER BY ConversationId, Start, TraceId
LIMIT {limit:UInt64}
