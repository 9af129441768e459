-- SHOW CREATE of one table that may be read.
SELECT create_table_query AS statement
FROM system.tables
WHERE database = {spm_of:String} AND name = {spm_name:String}
