UPDATE deliveries SET claimed_until = 0 WHERE id = ?
