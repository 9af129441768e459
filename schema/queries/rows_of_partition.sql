SELECT *
FROM {table:Identifier}
WHERE _partition_id = {partition:String}
