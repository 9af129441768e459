INSERT INTO judgements (project, request, rows) VALUES (?, ?, ?)
