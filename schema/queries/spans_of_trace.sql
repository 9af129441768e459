-- A part: the spans of one trace in one project, read in the hours that `lookup` (trace_hours.sql) has.
Project = {project:String}
  AND TraceId = {trace_id:String}
  AND toStartOfHour(Timestamp) >= (SELECT first FROM lookup)
  AND toStartOfHour(Timestamp) <= (SELECT last FROM lookup)
