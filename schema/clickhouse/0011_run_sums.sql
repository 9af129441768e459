-- Sums of runs, kept: one row a run, by the hour it began in, made from its spans after they are stored. `Gone` marks the
-- row of an hour in which the run, as an earlier span showed, did not begin after all. Read with FINAL. LowCardinality
-- apart, the columns are those of schema/queries/run_columns.sql.
CREATE TABLE IF NOT EXISTS run_sums
(
    Project LowCardinality(String),
    TraceId String,
    Start DateTime64(9) CODEC(Delta(8), Default),
    End DateTime64(9) CODEC(Delta(8), Default),
    Duration UInt64,
    Spans UInt64,
    Errors UInt64,
    LlmCalls UInt64,
    ToolCalls UInt64,
    InputTokens UInt64,
    OutputTokens UInt64,
    Cost Nullable(Decimal(38, 12)),
    UnpricedCalls UInt64,
    Models Array(LowCardinality(String)),
    RootName LowCardinality(String),
    ServiceName LowCardinality(String),
    AgentName LowCardinality(String),
    Feature LowCardinality(String),
    UserId String,
    ConversationId String,
    CacheReadTokens UInt64,
    Status LowCardinality(String),
    Services Array(LowCardinality(String)),
    Agents Array(LowCardinality(String)),
    Features Array(LowCardinality(String)),
    LastReceived DateTime64(9) CODEC(Delta(8), Default),
    Hour DateTime,
    Version UInt64,
    Gone UInt8
)
ENGINE = ReplacingMergeTree(Version, Gone)
PARTITION BY toDate(Hour)
ORDER BY (Project, Hour, TraceId)
SETTINGS
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

-- The runs that an insert touched, which are not summed until their batch, the inserts of one time, is in `runs_summed`.
-- No deduplication: an insert that is repeated after a crash may have more rows than the one before.
CREATE TABLE IF NOT EXISTS runs_touched
(
    At DateTime64(9),
    Project LowCardinality(String),
    TraceId String
)
ENGINE = MergeTree
PARTITION BY toStartOfTenMinutes(At)
ORDER BY At
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS runs_summed
(
    At DateTime64(9)
)
ENGINE = MergeTree
PARTITION BY toStartOfTenMinutes(At)
ORDER BY At
SETTINGS
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS runs_touched_mv TO runs_touched
(
    At DateTime64(9),
    Project LowCardinality(String),
    TraceId String
)
AS SELECT now64(9) AS At, Project, TraceId
FROM otel_traces
WHERE TraceId != ''
GROUP BY Project, TraceId;

-- Runs stored before: a batch for every hour in which some began, of which the time is that hour's number of seconds, as
-- nanoseconds after 1970.
INSERT INTO runs_touched
SELECT fromUnixTimestamp64Nano(toInt64(toUnixTimestamp(toStartOfHour(min(Start)))), 'UTC'), Project, TraceId
FROM otel_traces_trace_id_ts
GROUP BY Project, TraceId;
