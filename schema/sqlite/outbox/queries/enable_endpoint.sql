UPDATE endpoints SET disabled_at = NULL, reason = '' WHERE name = ?
