-- The newest runs of a project that have a span in a period. Newest first.
WITH page AS
(
    SELECT TraceId
    FROM otel_traces_trace_id_ts
    WHERE Project = {project:String}
    GROUP BY TraceId
    HAVING min(Start) < {until:DateTime} AND max(End) >= {since:DateTime}
    ORDER BY min(Start) DESC, TraceId
    LIMIT {limit:UInt64}
)
SELECT *
FROM runs
WHERE Project = {project:String} AND TraceId IN (SELECT TraceId FROM page)
ORDER BY Start DESC, TraceId
