-- The prompts around the log records that arrive of some sessions: the last one before the first record and the first
-- one after the last record, 0 where there is none. Read by: the drain. `sessions` are project and session, joined by
-- a NUL; `firsts` and `lasts` are the times of their records, Unix nanoseconds, in the same order.
SELECT Project, SessionId, maxIf(At, At < First) AS Before, minIf(At, At > Last) AS After
FROM (
    SELECT
        Project,
        SessionId,
        toUnixTimestamp64Nano(Timestamp) AS At,
        transform(concat(Project, '\0', SessionId), {sessions:Array(String)}, {firsts:Array(Int64)}, toInt64(0)) AS First,
        transform(concat(Project, '\0', SessionId), {sessions:Array(String)}, {lasts:Array(Int64)}, toInt64(0)) AS Last
    FROM otel_logs
    -- include session_records
)
GROUP BY Project, SessionId
