SELECT
    id AS seq,
    event_id AS EventId,
    endpoint AS Endpoint,
    attempt AS Attempt,
    at AS At,
    duration AS Duration,
    outcome AS Outcome,
    status AS Status,
    error AS Error,
    response AS Response
FROM attempts WHERE copied = 0 ORDER BY id LIMIT ?
