-- The first and the last span of the table in Unix nanoseconds, whatever the project: the engine knows them by heart.
SELECT toUnixTimestamp64Nano(min(Timestamp)) AS First, toUnixTimestamp64Nano(max(Timestamp)) AS Last
FROM otel_traces
