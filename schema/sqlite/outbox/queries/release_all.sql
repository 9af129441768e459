UPDATE deliveries SET claimed_until = 0, next_at = min(next_at, ?)
WHERE claimed_until > 0 OR (state = 'pending' AND next_at > ?)
