UPDATE endpoints SET disabled_at = ?, reason = ? WHERE name = ? AND fingerprint = ?
