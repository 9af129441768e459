-- The trace-id lookup again, in small granules and blocks: it is asked for a hundred scattered traces at a time (a page
-- of runs, the late spans of a segment), and each of them costs a granule and a compressed block in every part.
-- Rows that arrive between the two copies are copied by the second; copied twice, a row changes nothing: its sums are
-- a min and two max.
CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts_0006
(
    TraceId String CODEC(ZSTD(1)),
    Start SimpleAggregateFunction(min, DateTime) CODEC(Delta(4), ZSTD(1)),
    End SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1)),
    Project LowCardinality(String) CODEC(ZSTD(1)),
    ReceivedAt SimpleAggregateFunction(max, DateTime) CODEC(Delta(4), ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(Start)
ORDER BY (TraceId, Project)
SETTINGS
    index_granularity = 256,
    min_compress_block_size = 8192,
    max_compress_block_size = 16384,
    ttl_only_drop_parts = 1,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

INSERT INTO otel_traces_trace_id_ts_0006 SELECT TraceId, Start, End, Project, ReceivedAt FROM otel_traces_trace_id_ts;

EXCHANGE TABLES otel_traces_trace_id_ts AND otel_traces_trace_id_ts_0006;

INSERT INTO otel_traces_trace_id_ts SELECT TraceId, Start, End, Project, ReceivedAt FROM otel_traces_trace_id_ts_0006;

DROP TABLE otel_traces_trace_id_ts_0006;
