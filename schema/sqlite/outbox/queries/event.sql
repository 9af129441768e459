SELECT * FROM events WHERE id = ?
