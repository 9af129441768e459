-- How many log records and metric points have arrived at or after `since`, by service; dated on or after the day of `floor`.
-- Some coding agents tell prompts and answers in logs only.
SELECT
    ServiceName AS Service,
    countIf(Signal = 'logs') AS LogRecords,
    countIf(Signal = 'metrics') AS MetricPoints,
    sum(Content) AS WithContent
FROM
(
    SELECT ServiceName, 'logs' AS Signal,
        arrayExists(key -> LogAttributes[key] NOT IN {redacted:Array(String)}, ['prompt', 'response']) AS Content
    FROM otel_logs
    WHERE Project = {project:String} AND Day >= toDate(fromUnixTimestamp64Nano({floor:Int64}, 'UTC'))
      AND ReceivedAt >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
    UNION ALL
    SELECT ServiceName, 'metrics' AS Signal, 0 AS Content FROM merge(currentDatabase(), '^otel_metrics_(gauge|sum|histogram|exponential_histogram|summary)$')
    WHERE Project = {project:String} AND Day >= toDate(fromUnixTimestamp64Nano({floor:Int64}, 'UTC'))
      AND ReceivedAt >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
)
GROUP BY Service
ORDER BY Service
LIMIT 100
