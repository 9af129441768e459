-- A lease's state merges with the one stored: whatever order states are written in, the last one stays.
INSERT INTO leases (id, project, said, pico, tokens, created_ns, expires_ns, spent_pico, spent_tokens, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    pico = MIN(pico, excluded.pico),
    tokens = MIN(tokens, excluded.tokens),
    expires_ns = MIN(expires_ns, excluded.expires_ns),
    spent_pico = MAX(spent_pico, excluded.spent_pico),
    spent_tokens = MAX(spent_tokens, excluded.spent_tokens),
    state = CASE WHEN state = 'open' THEN excluded.state ELSE state END
