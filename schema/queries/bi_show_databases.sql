-- SHOW DATABASES.
SELECT name
FROM system.databases
WHERE name IN ({spm_database:String}, 'system')
  AND (name LIKE {spm_like:String}) != {spm_not:UInt8}
ORDER BY name
