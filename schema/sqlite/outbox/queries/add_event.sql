INSERT OR IGNORE INTO events
    (id, type, budget, scope, period_start, period_end, threshold, created_ns, data, webhooks, keep_from,
     described, project)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
