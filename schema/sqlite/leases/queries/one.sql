SELECT id, project, said, pico, tokens, created_ns, expires_ns, spent_pico, spent_tokens, state FROM leases
WHERE id = ?
