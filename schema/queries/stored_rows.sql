-- Rows of each table that keeps any, replaced versions included.
SELECT table AS Table, sum(rows) AS Rows
FROM system.parts
WHERE active AND database = {database:String}
GROUP BY table
ORDER BY table
