DELETE FROM endpoints WHERE name = ?
