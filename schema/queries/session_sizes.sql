-- How many log records some turns of sessions have, and how many bytes these take in memory. Read by: the drain.
SELECT Project, SessionId, count() AS Records, sum(byteSize(LogAttributes, ResourceAttributes)) AS Bytes
FROM otel_logs
-- include turn_records
GROUP BY Project, SessionId
