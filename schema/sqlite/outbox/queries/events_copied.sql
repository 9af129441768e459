UPDATE events SET copied = 1 WHERE seq IN (SELECT value FROM json_each(?))
