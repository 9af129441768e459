-- SHOW COLUMNS of one table that may be read.
SELECT
    name AS field,
    type,
    if(type LIKE 'Nullable(%', 'YES', 'NO') AS null,
    if(is_in_primary_key, 'PRI', '') AS key,
    CAST(NULL AS Nullable(String)) AS default,
    '' AS extra
FROM system.columns
WHERE database = {spm_of:String} AND table = {spm_name:String} AND name LIKE {spm_like:String}
ORDER BY position
