-- Due at once, by whatever clock: the process that sends may have another than the one that enables.
UPDATE deliveries SET state = 'pending', next_at = 0
WHERE state = 'held' AND endpoint IN (SELECT name FROM endpoints WHERE disabled_at IS NULL)
