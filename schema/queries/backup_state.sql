-- How far a backup is. Its files are known once all parts are noted.
SELECT toString(status) AS Status, num_files AS Files, total_size AS Bytes, error AS Error
FROM system.backups
WHERE id = {id:String}
