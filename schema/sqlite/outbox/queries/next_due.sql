SELECT next_at FROM deliveries WHERE endpoint = ? AND state = 'pending' AND claimed_until <= ? ORDER BY next_at LIMIT 1
