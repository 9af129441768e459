SELECT * FROM events WHERE described = 0 ORDER BY seq LIMIT ?
