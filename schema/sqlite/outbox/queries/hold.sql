UPDATE deliveries SET state = 'held'
WHERE state = 'pending' AND endpoint NOT IN (SELECT name FROM endpoints WHERE disabled_at IS NULL)
