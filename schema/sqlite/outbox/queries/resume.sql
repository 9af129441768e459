UPDATE deliveries SET state = 'pending', next_at = ?
WHERE state = 'held' AND endpoint IN (SELECT name FROM endpoints WHERE disabled_at IS NULL)
