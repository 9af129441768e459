-- Every table of the store that holds rows, and whether they are of projects.
SELECT name, toBool(name IN (
    SELECT table FROM system.columns WHERE database = {database:String} AND name = 'Project')) AS of_projects
FROM system.tables
WHERE database = {database:String} AND engine NOT LIKE '%View'
FORMAT JSONEachRow
