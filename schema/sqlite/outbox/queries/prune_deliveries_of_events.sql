DELETE FROM deliveries WHERE event_id IN (SELECT id FROM events WHERE keep_from < ?)
