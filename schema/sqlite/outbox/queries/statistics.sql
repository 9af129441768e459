SELECT
    (SELECT count(*) FROM deliveries WHERE state = 'pending'),
    (SELECT count(*) FROM deliveries WHERE state = 'held'),
    (SELECT count(*) FROM deliveries WHERE state = 'failed'),
    (SELECT count(*) FROM endpoints WHERE disabled_at IS NOT NULL),
    (SELECT min(queued_at) FROM deliveries WHERE state = 'pending')
