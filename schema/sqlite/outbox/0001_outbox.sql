-- What fired. `keep_from` is the moment its retention counts from; `copied` whether ClickHouse has it.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    budget TEXT NOT NULL,
    scope TEXT NOT NULL,
    period_start INTEGER NOT NULL,
    period_end INTEGER NOT NULL,
    threshold TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    data TEXT NOT NULL,
    webhooks TEXT NOT NULL,
    keep_from INTEGER NOT NULL,
    copied INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX events_of_budget ON events (budget, period_start);
CREATE INDEX events_by_age ON events (keep_from);
CREATE INDEX events_to_copy ON events (seq) WHERE copied = 0;

-- state: pending, held (endpoint disabled or not configured), delivered, failed (given up).
-- `attempts` counts all; `tries` those since it was queued, which the schedule goes by. `body` is NULL until the endpoint,
-- and with it the template, is known.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    body BLOB,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    queued_at INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    claimed_until INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER,
    UNIQUE (event_id, endpoint)
);
CREATE INDEX deliveries_due ON deliveries (endpoint, next_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_state ON deliveries (state, endpoint, finished_at);

-- How each attempt went: for people, and for the copy in ClickHouse.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    error TEXT NOT NULL,
    response TEXT NOT NULL,
    copied INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attempts_of_event ON attempts (event_id, endpoint, attempt);
CREATE INDEX attempts_to_copy ON attempts (id) WHERE copied = 0;

-- The endpoints as configured last; `disabled_at` is set by a 410 and cleared by another fingerprint.
CREATE TABLE endpoints (
    name TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    disabled_at INTEGER,
    reason TEXT NOT NULL DEFAULT ''
);

-- The lines of rolling windows an event was recorded for.
CREATE TABLE lines_over (
    budget TEXT NOT NULL,
    scope TEXT NOT NULL,
    type TEXT NOT NULL,
    threshold TEXT NOT NULL,
    PRIMARY KEY (budget, scope, type, threshold)
) WITHOUT ROWID;
