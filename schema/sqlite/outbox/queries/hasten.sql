UPDATE deliveries SET next_at = min(next_at, :now) WHERE event_id = :event AND tries = 0
