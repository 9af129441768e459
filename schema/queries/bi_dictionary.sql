-- What the catalogue says of views and their columns.
SELECT of_column.table AS table, of_table.comment AS about, of_column.name AS name, of_column.type AS type,
    of_column.comment AS comment
FROM system.columns AS of_column
JOIN system.tables AS of_table ON of_table.database = of_column.database AND of_table.name = of_column.table
WHERE of_column.database = {database:String} AND of_column.table IN {views:Array(String)}
ORDER BY table, of_column.position
