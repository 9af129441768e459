-- IF NOT EXISTS: files of before there were versions have both, and version 0.
-- `said` is what a run stated of itself, as a JSON object.
CREATE TABLE IF NOT EXISTS leases (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    said TEXT NOT NULL,
    pico INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL,
    spent_pico INTEGER NOT NULL,
    spent_tokens INTEGER NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS leases_by_expiry ON leases (expires_ns);
