-- What a query sees of system.databases.
SELECT
    name, engine, '' AS data_path, '' AS metadata_path, uuid, engine AS engine_full, comment, is_external,
    name AS database
FROM system.databases
WHERE name IN ({spm_database:String}, 'system')
