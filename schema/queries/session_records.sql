-- The log records of some sessions that tell of them, in a time around those that arrive. `sessions` are project and
-- session, joined by a NUL, and `names` the sessions alone. Included by: `session_turns` and `turn_records`.
WHERE concat(Project, '\0', SessionId) IN {sessions:Array(String)}
  AND SessionId IN {names:Array(String)}
  AND Event IN {events:Array(String)}
  AND toStartOfHour(Timestamp) >= toStartOfHour(fromUnixTimestamp64Nano({since:Int64}, 'UTC'))
  AND toStartOfHour(Timestamp) <= toStartOfHour(fromUnixTimestamp64Nano({until:Int64}, 'UTC'))
