SELECT id FROM deliveries WHERE endpoint = ? AND state = 'pending' AND next_at <= ? AND claimed_until <= ? LIMIT ?
