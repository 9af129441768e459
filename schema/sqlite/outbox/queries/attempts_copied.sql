UPDATE attempts SET copied = 1 WHERE id IN (SELECT value FROM json_each(?))
