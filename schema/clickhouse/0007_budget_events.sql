-- Copies of the webhook outbox, for BI and for the history of budgets: what budgets told, and how each attempt to
-- deliver it went. Replicas that decide the same event write the same Id, and a copy repeated changes nothing: read
-- with FINAL. Data is the event's JSON, money in it as decimal strings.
CREATE TABLE IF NOT EXISTS budget_events
(
    Id String,
    Type LowCardinality(String),
    Budget String,
    Scope Array(String),
    Threshold String,
    PeriodStart DateTime64(9),
    PeriodEnd DateTime64(9),
    CreatedAt DateTime64(9),
    Webhooks Array(LowCardinality(String)),
    Data String
)
ENGINE = ReplacingMergeTree
ORDER BY Id
TTL toDateTime(CreatedAt) + INTERVAL 800 DAY
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

-- Status 0 means that there was no answer; Error says why.
CREATE TABLE IF NOT EXISTS webhook_deliveries
(
    EventId String,
    Endpoint LowCardinality(String),
    Attempt UInt32,
    At DateTime64(9),
    Duration UInt64,
    Outcome LowCardinality(String),
    Status UInt16,
    Error String,
    Response String
)
ENGINE = ReplacingMergeTree
ORDER BY (EventId, Endpoint, Attempt)
TTL toDateTime(At) + INTERVAL 90 DAY
SETTINGS
    non_replicated_deduplication_window = 1000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
