-- Tables with rows of their own: the others are made from them, by the server or by the daemon there.
SELECT name AS Table, engine != 'MergeTree' AS Replaces
FROM system.tables
WHERE database = currentDatabase()
    AND engine LIKE '%MergeTree'
    AND name NOT IN
    (
        'otel_traces_trace_id_ts', 'runs_touched', 'runs_summed', 'run_sums', 'schema_migrations', 'schema_migrating'
    )
ORDER BY name
