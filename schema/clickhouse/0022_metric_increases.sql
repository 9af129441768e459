-- What each point of a sum, and of a histogram, adds to the point before it: summing Increase over any group and time is
-- right for delta and cumulative points alike, also across restarts of a process.
--
-- A delta point is an increase itself. Of a cumulative series each start time begins anew at zero, so its first point
-- adds all since then; so does one below the point before it, as a counter that starts anew without saying so. Where no
-- start time is said, the first point only says from where to count. Points without a recorded value are left out.
-- Filter by Project, ServiceName, MetricName or Series: these are looked up before anything is compared.
CREATE VIEW IF NOT EXISTS otel_metrics_sum_increases AS
SELECT
    Project,
    ServiceName,
    MetricName,
    MetricUnit,
    ScopeName,
    ResourceAttributes,
    Attributes,
    Series,
    StartTimeUnix,
    TimeUnix,
    AggregationTemporality,
    IsMonotonic,
    Value,
    multiIf(
        AggregationTemporality = 1, Value,
        Point > 1 AND NOT (IsMonotonic AND Value < Previous), Value - Previous,
        Point > 1 OR toUnixTimestamp64Nano(StartTimeUnix) > 0, Value,
        0
    ) AS Increase
FROM
(
    SELECT
        *,
        row_number() OVER series AS Point,
        lagInFrame(Value) OVER series AS Previous
    FROM otel_metrics_sum FINAL
    WHERE bitAnd(Flags, 1) = 0
    WINDOW series AS (
        PARTITION BY Project, ServiceName, MetricName, Series, StartTimeUnix
        ORDER BY TimeUnix, RowKey
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
);

CREATE VIEW IF NOT EXISTS otel_metrics_histogram_increases AS
SELECT
    Project,
    ServiceName,
    MetricName,
    MetricUnit,
    ScopeName,
    ResourceAttributes,
    Attributes,
    Series,
    StartTimeUnix,
    TimeUnix,
    AggregationTemporality,
    Count,
    Sum,
    multiIf(
        AggregationTemporality = 1, Count,
        Point > 1 AND Count >= PreviousCount, Count - PreviousCount,
        Point > 1 OR toUnixTimestamp64Nano(StartTimeUnix) > 0, Count,
        0
    ) AS CountIncrease,
    multiIf(
        AggregationTemporality = 1, Sum,
        Point > 1 AND Count >= PreviousCount, Sum - PreviousSum,
        Point > 1 OR toUnixTimestamp64Nano(StartTimeUnix) > 0, Sum,
        0
    ) AS SumIncrease
FROM
(
    SELECT
        *,
        row_number() OVER series AS Point,
        lagInFrame(Count) OVER series AS PreviousCount,
        lagInFrame(Sum) OVER series AS PreviousSum
    FROM otel_metrics_histogram FINAL
    WHERE bitAnd(Flags, 1) = 0
    WINDOW series AS (
        PARTITION BY Project, ServiceName, MetricName, Series, StartTimeUnix
        ORDER BY TimeUnix, RowKey
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
);
