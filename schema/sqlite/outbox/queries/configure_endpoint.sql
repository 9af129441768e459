INSERT INTO endpoints (name, fingerprint) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, disabled_at = NULL, reason = ''
