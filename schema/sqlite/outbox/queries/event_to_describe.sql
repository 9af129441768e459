SELECT data FROM events WHERE id = ? AND described = 0
