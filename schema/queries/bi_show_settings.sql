-- SHOW SETTINGS LIKE: those that a client may send.
SELECT name, type, default AS value
FROM system.settings
WHERE name IN {spm_settings:Array(String)}
  AND (name LIKE {spm_like:String}) != {spm_not:UInt8}
ORDER BY name
