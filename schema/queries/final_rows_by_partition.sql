SELECT _partition_id AS Partition, count() AS Rows
FROM {table:Identifier} FINAL
GROUP BY Partition
ORDER BY Partition
