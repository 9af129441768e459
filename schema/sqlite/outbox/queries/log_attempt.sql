INSERT INTO attempts (event_id, endpoint, attempt, at, duration, outcome, status, error, response)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
