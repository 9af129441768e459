DELETE FROM lines_over WHERE budget = ? AND scope = ? AND type = ? AND threshold = ?
