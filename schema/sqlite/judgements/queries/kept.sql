SELECT number, project, request, rows FROM judgements ORDER BY number LIMIT ?
