SELECT * FROM events WHERE budget = ? ORDER BY seq DESC LIMIT ?
