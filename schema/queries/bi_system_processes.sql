-- What a query sees of system.processes: none of other people's, nor of the daemon's own.
SELECT
    '' AS query_id, '' AS user, '' AS query, toFloat64(0) AS elapsed, toUInt64(0) AS read_rows,
    toUInt64(0) AS read_bytes, toInt64(0) AS memory_usage
FROM system.one
WHERE 0
