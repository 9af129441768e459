-- Which log records are of some turns: those that name their prompt, and those between two prompts. `sessions` are
-- project and session, joined by a NUL; `begins` and `ends` are when their turns begin and when the next ones do, Unix
-- nanoseconds, in the same order. Included by: `session_events` and `session_sizes`.
-- include session_records
  AND (
    PromptId IN {prompts:Array(String)}
    OR (
      toUnixTimestamp64Nano(Timestamp)
        >= transform(concat(Project, '\0', SessionId), {sessions:Array(String)}, {begins:Array(Int64)}, toInt64(0))
      AND toUnixTimestamp64Nano(Timestamp)
        < transform(concat(Project, '\0', SessionId), {sessions:Array(String)}, {ends:Array(Int64)}, toInt64(0))
    )
  )
