INSERT OR IGNORE INTO deliveries (event_id, endpoint, body, state, queued_at, next_at)
SELECT
    :event,
    :endpoint,
    :body,
    CASE WHEN :endpoint IN (SELECT name FROM endpoints WHERE disabled_at IS NULL) THEN 'pending' ELSE 'held' END,
    :now,
    :due
