-- What a query sees of system.clusters: this is a single server.
SELECT
    '' AS cluster, toUInt32(0) AS shard_num, '' AS shard_name, toUInt32(0) AS shard_weight,
    toUInt8(0) AS internal_replication, toUInt32(0) AS replica_num, '' AS host_name, '' AS host_address, toUInt16(0) AS port,
    toUInt8(1) AS is_local, '' AS user, '' AS default_database, toUInt32(0) AS errors_count,
    toUInt32(0) AS slowdowns_count, toUInt32(0) AS estimated_recovery_time, '' AS database_shard_name,
    '' AS database_replica_name, toUInt8(1) AS is_active, '' AS name
FROM system.one
WHERE 0
