-- The days of which a table has a partition, in days since 1970-01-01.
SELECT DISTINCT toInt32(toDate32(partition)) AS Day
FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active
