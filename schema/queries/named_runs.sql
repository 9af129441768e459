-- A part: in place of changed_runs, runs that are named with the hours they have spans in: `hours` and `trace_ids` are
-- parallel arrays.
SELECT
    -- include run_columns
FROM otel_traces AS span FINAL
WHERE span.Project = {project:String}
  AND (toStartOfHour(span.Timestamp), span.TraceId) IN
      (
          SELECT toDateTime(place.1), place.2
          FROM (SELECT arrayJoin(arrayZip({hours:Array(UInt32)}, {trace_ids:Array(String)})) AS place)
      )
GROUP BY span.Project, span.TraceId
