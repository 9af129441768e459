SELECT id FROM deliveries WHERE event_id = ? AND endpoint = ?
