-- The names of the engine's settings.
SELECT name
FROM system.settings
FORMAT JSONEachRow
