UPDATE events SET data = ?, described = 1 WHERE id = ?
