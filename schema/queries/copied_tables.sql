-- Tables with rows of their own: the others are made from them, by the server or by the daemon there. `Keys` are the
-- columns that tell one row from another: of a table that replaces rows those it is sorted by, of others all of them.
SELECT
    tables.name AS Table,
    tables.engine != 'MergeTree' AS Replaces,
    arraySort(groupArray(columns.name)) AS Keys
FROM system.tables AS tables
INNER JOIN system.columns AS columns ON columns.database = tables.database AND columns.table = tables.name
WHERE tables.database = currentDatabase()
    AND tables.engine LIKE '%MergeTree'
    AND tables.name NOT IN
    (
        'otel_traces_trace_id_ts', 'runs_touched', 'runs_summed', 'run_sums', 'schema_migrations', 'schema_migrating'
    )
    AND (columns.is_in_sorting_key OR NOT Replaces)
    AND columns.default_kind != 'ALIAS'
GROUP BY Table, Replaces
ORDER BY Table
