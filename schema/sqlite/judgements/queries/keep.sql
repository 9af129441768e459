INSERT INTO judgements (project, request, rows) VALUES (?, ?, ?) RETURNING number
