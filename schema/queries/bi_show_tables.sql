-- SHOW TABLES: what may be read of one database.
SELECT name
FROM system.tables
WHERE database = {spm_of:String}
  AND ((database = {spm_database:String} AND name IN {spm_tables:Array(String)})
    OR (database = 'system' AND name IN {spm_system:Array(String)}))
  AND (name LIKE {spm_like:String}) != {spm_not:UInt8}
ORDER BY name
