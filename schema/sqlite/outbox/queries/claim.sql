UPDATE deliveries SET claimed_until = ?
WHERE id IN (
    SELECT id FROM deliveries
    WHERE endpoint = ? AND state = 'pending' AND next_at <= ? AND claimed_until <= ?
    ORDER BY next_at, id LIMIT ?
)
RETURNING *
