-- What a query sees of system.tables: the documented tables and views, and nothing of paths, sizes or other tables.
SELECT
    database, name, uuid, engine, is_temporary, emptyArrayString() AS data_paths, '' AS metadata_path,
    toDateTime(0, 'UTC') AS metadata_modification_time, metadata_version, emptyArrayString() AS dependencies_database,
    emptyArrayString() AS dependencies_table, create_table_query, engine AS engine_full, as_select,
    parameterized_view_parameters, partition_key, sorting_key, primary_key, sampling_key, unique_key,
    skipping_indices_types, '' AS storage_policy, CAST(NULL AS Nullable(UInt64)) AS total_rows,
    CAST(NULL AS Nullable(UInt64)) AS total_bytes, CAST(NULL AS Nullable(UInt64)) AS total_bytes_uncompressed,
    CAST(NULL AS Nullable(UInt64)) AS parts, CAST(NULL AS Nullable(UInt64)) AS active_parts,
    CAST(NULL AS Nullable(UInt64)) AS total_marks, toUInt64(0) AS active_on_fly_data_mutations,
    toUInt64(0) AS active_on_fly_alter_mutations, toUInt64(0) AS active_on_fly_metadata_mutations,
    toUInt64(0) AS columns_descriptions_cache_size, CAST(NULL AS Nullable(UInt64)) AS lifetime_rows,
    CAST(NULL AS Nullable(UInt64)) AS lifetime_bytes, comment, has_own_data,
    emptyArrayString() AS loading_dependencies_database, emptyArrayString() AS loading_dependencies_table,
    emptyArrayString() AS loading_dependent_database, emptyArrayString() AS loading_dependent_table,
    '' AS target_database, '' AS target_table, '' AS definer, name AS table
FROM system.tables
WHERE (database = {spm_database:String} AND name IN {spm_tables:Array(String)})
   OR (database = 'system' AND name IN {spm_system:Array(String)})
