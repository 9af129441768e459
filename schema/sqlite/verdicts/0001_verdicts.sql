-- Evaluations that go out by OTLP and were not taken yet: `rows` as an Arrow stream, or where these are empty, those that
-- the store has of `evaluator` in `batch`, after the run and span that `after` names. `stored` is 0 until the store has
-- taken them. `verdicts` counts `rows`, `bytes` is their size.
CREATE TABLE verdicts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    verdicts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    rows BLOB NOT NULL,
    project TEXT NOT NULL,
    evaluator TEXT NOT NULL,
    batch TEXT NOT NULL,
    after TEXT NOT NULL DEFAULT ''
);
