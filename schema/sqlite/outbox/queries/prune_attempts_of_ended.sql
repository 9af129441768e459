DELETE FROM attempts
WHERE (event_id, endpoint) IN (
    SELECT event_id, endpoint FROM deliveries WHERE state IN ('delivered', 'failed') AND finished_at < ?
)
