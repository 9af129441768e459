SELECT _partition_id AS Partition, count() AS Rows
FROM {table:Identifier}
GROUP BY Partition
ORDER BY Partition
