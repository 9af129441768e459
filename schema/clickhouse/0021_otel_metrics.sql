-- Metric points, a table for each kind. The first columns are those of the OpenTelemetry Collector's ClickHouse
-- exporter, by name and type; the rest are ours (collector/model/metric_columns.py says what each means).
--
-- A point is identified by all it says: RowKey is the fingerprint of that and of its number among equal ones in its
-- request, so that one delivered again counts once wherever FINAL is used. Delta and cumulative points are kept as sent.
CREATE TABLE IF NOT EXISTS otel_metrics_gauge
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ResourceSchemaUrl String CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion String CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeDroppedAttrCount UInt32 CODEC(Default),
    ScopeSchemaUrl String CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    MetricName String CODEC(Default),
    MetricDescription String CODEC(Default),
    MetricUnit String CODEC(Default),
    Attributes Map(LowCardinality(String), String) CODEC(Default),
    StartTimeUnix DateTime64(9) CODEC(Delta(8), Default),
    TimeUnix DateTime64(9) CODEC(Delta(8), Default),
    Value Float64 CODEC(Default),
    Flags UInt32 CODEC(Default),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    Series UInt64 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),

    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, ServiceName, MetricName, Series)
ORDER BY (Project, ServiceName, MetricName, Series, StartTimeUnix, TimeUnix, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_sum
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ResourceSchemaUrl String CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion String CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeDroppedAttrCount UInt32 CODEC(Default),
    ScopeSchemaUrl String CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    MetricName String CODEC(Default),
    MetricDescription String CODEC(Default),
    MetricUnit String CODEC(Default),
    Attributes Map(LowCardinality(String), String) CODEC(Default),
    StartTimeUnix DateTime64(9) CODEC(Delta(8), Default),
    TimeUnix DateTime64(9) CODEC(Delta(8), Default),
    Value Float64 CODEC(Default),
    Flags UInt32 CODEC(Default),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(Default),
    AggregationTemporality Int32 CODEC(Default),
    IsMonotonic Bool CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    Series UInt64 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),

    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, ServiceName, MetricName, Series)
ORDER BY (Project, ServiceName, MetricName, Series, StartTimeUnix, TimeUnix, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_histogram
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ResourceSchemaUrl String CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion String CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeDroppedAttrCount UInt32 CODEC(Default),
    ScopeSchemaUrl String CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    MetricName String CODEC(Default),
    MetricDescription String CODEC(Default),
    MetricUnit String CODEC(Default),
    Attributes Map(LowCardinality(String), String) CODEC(Default),
    StartTimeUnix DateTime64(9) CODEC(Delta(8), Default),
    TimeUnix DateTime64(9) CODEC(Delta(8), Default),
    Count UInt64 CODEC(Delta(8), Default),
    Sum Float64 CODEC(Default),
    BucketCounts Array(UInt64) CODEC(Default),
    ExplicitBounds Array(Float64) CODEC(Default),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(Default),
    Flags UInt32 CODEC(Default),
    Min Float64 CODEC(Default),
    Max Float64 CODEC(Default),
    AggregationTemporality Int32 CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    Series UInt64 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),

    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, ServiceName, MetricName, Series)
ORDER BY (Project, ServiceName, MetricName, Series, StartTimeUnix, TimeUnix, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_exponential_histogram
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ResourceSchemaUrl String CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion String CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeDroppedAttrCount UInt32 CODEC(Default),
    ScopeSchemaUrl String CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    MetricName String CODEC(Default),
    MetricDescription String CODEC(Default),
    MetricUnit String CODEC(Default),
    Attributes Map(LowCardinality(String), String) CODEC(Default),
    StartTimeUnix DateTime64(9) CODEC(Delta(8), Default),
    TimeUnix DateTime64(9) CODEC(Delta(8), Default),
    Count UInt64 CODEC(Delta(8), Default),
    Sum Float64 CODEC(Default),
    Scale Int32 CODEC(Default),
    ZeroCount UInt64 CODEC(Default),
    PositiveOffset Int32 CODEC(Default),
    PositiveBucketCounts Array(UInt64) CODEC(Default),
    NegativeOffset Int32 CODEC(Default),
    NegativeBucketCounts Array(UInt64) CODEC(Default),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(Default),
    Flags UInt32 CODEC(Default),
    Min Float64 CODEC(Default),
    Max Float64 CODEC(Default),
    AggregationTemporality Int32 CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    Series UInt64 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),

    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, ServiceName, MetricName, Series)
ORDER BY (Project, ServiceName, MetricName, Series, StartTimeUnix, TimeUnix, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS otel_metrics_summary
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(Default),
    ResourceSchemaUrl String CODEC(Default),
    ScopeName String CODEC(Default),
    ScopeVersion String CODEC(Default),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(Default),
    ScopeDroppedAttrCount UInt32 CODEC(Default),
    ScopeSchemaUrl String CODEC(Default),
    ServiceName LowCardinality(String) CODEC(Default),
    MetricName String CODEC(Default),
    MetricDescription String CODEC(Default),
    MetricUnit String CODEC(Default),
    Attributes Map(LowCardinality(String), String) CODEC(Default),
    StartTimeUnix DateTime64(9) CODEC(Delta(8), Default),
    TimeUnix DateTime64(9) CODEC(Delta(8), Default),
    Count UInt64 CODEC(Delta(8), Default),
    Sum Float64 CODEC(Default),
    ValueAtQuantiles Nested
    (
        Quantile Float64,
        Value Float64
    ) CODEC(Default),
    Flags UInt32 CODEC(Default),

    Project LowCardinality(String) CODEC(Default),
    ReceivedAt DateTime64(9) CODEC(Delta(8), Default),
    Series UInt64 CODEC(Default),
    RowKey UInt64 CODEC(Default),
    Day Date CODEC(Default),

    INDEX idx_time TimeUnix TYPE minmax GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(ReceivedAt)
PARTITION BY Day
PRIMARY KEY (Project, ServiceName, MetricName, Series)
ORDER BY (Project, ServiceName, MetricName, Series, StartTimeUnix, TimeUnix, RowKey)
SETTINGS
    index_granularity = 8192,
    ttl_only_drop_parts = 1,
    materialize_ttl_recalculate_only = 1,
    min_bytes_for_wide_part = 268435456,
    min_rows_for_wide_part = 0,
    non_replicated_deduplication_window = 10000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
