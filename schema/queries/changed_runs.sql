-- A part: runs of a project of which the kept sums are not those of their spans, as their spans are now. Traces that last
-- for months, which broken clocks make, are looked for in every hour.
WITH lookup AS
(
    SELECT TraceId, min(Start) AS First, max(End) AS Last, dateDiff('hour', First, Last) > 2000 AS Endless
    FROM otel_traces_trace_id_ts
    WHERE Project = {project:String}
      AND TraceId IN
      (
          -- include unsummed_runs
      )
    GROUP BY TraceId
    HAVING toStartOfHour(First) >= toStartOfHour({floor:DateTime}) AND First < toStartOfHour({ceiling:DateTime})
)
SELECT
    -- include run_columns
FROM otel_traces AS span FINAL
WHERE span.Project = {project:String}
  AND ((toStartOfHour(span.Timestamp), span.TraceId) IN
      (
          SELECT
              -- include hours_of_runs
              , TraceId
          FROM lookup
          WHERE NOT Endless
      )
      OR span.TraceId IN (SELECT TraceId FROM lookup WHERE Endless))
GROUP BY span.Project, span.TraceId
