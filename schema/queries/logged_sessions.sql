-- Of some sessions those whose logs tell of model calls. Read by: the drain, when spans arrive that may tell of the same
-- calls. `projects` and `sessions` are parallel arrays.
SELECT DISTINCT Project, SessionId AS Name
FROM otel_logs
WHERE (Project, SessionId) IN (SELECT arrayJoin(arrayZip({projects:Array(String)}, {names:Array(String)})))
  AND Event IN {events:Array(String)}
  AND arrayExists(key -> mapContains(LogAttributes, key), {required:Array(String)})
