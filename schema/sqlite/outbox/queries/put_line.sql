INSERT OR REPLACE INTO lines_over (budget, scope, type, threshold, step) VALUES (?, ?, ?, ?, ?)
