SELECT
    deliveries.event_id,
    events.type,
    events.budget,
    deliveries.endpoint,
    deliveries.state,
    deliveries.attempts,
    deliveries.queued_at,
    deliveries.next_at,
    coalesce(last.status, 0) AS status,
    coalesce(last.error, '') AS error
FROM deliveries
JOIN events ON events.id = deliveries.event_id
LEFT JOIN attempts AS last
    ON last.event_id = deliveries.event_id
    AND last.endpoint = deliveries.endpoint
    AND last.attempt = deliveries.attempts
ORDER BY deliveries.queued_at DESC, deliveries.id DESC LIMIT ?
