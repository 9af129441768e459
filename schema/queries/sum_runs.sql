-- Sums of one part in `parts` of the runs in some batches, from their spans as they are now. A row for the hour in which
-- each began; for every other hour in which it has spans, one that says it did not begin there.
INSERT INTO run_sums
WITH
    chosen AS
    (
        SELECT Project, TraceId
        FROM runs_touched
        WHERE At IN (SELECT fromUnixTimestamp64Nano(arrayJoin({batches:Array(Int64)}), 'UTC'))
          AND cityHash64(TraceId) % {parts:UInt64} = {part:UInt64}
    ),
    lookup AS
    (
        SELECT Project, TraceId, min(Start) AS First, max(End) AS Last, dateDiff('hour', First, Last) > 2000 AS Endless
        FROM otel_traces_trace_id_ts
        WHERE TraceId IN (SELECT TraceId FROM chosen)
        GROUP BY Project, TraceId
        HAVING (Project, TraceId) IN (SELECT Project, TraceId FROM chosen)
    )
SELECT run.* EXCEPT (Hours), Hour, toUnixTimestamp64Nano(now64(9)), Hour != toStartOfHour(run.Start)
FROM
(
    SELECT
        -- include run_columns
        , groupUniqArray(toStartOfHour(span.Timestamp)) AS Hours
    FROM otel_traces AS span FINAL
    WHERE ((span.Project, toStartOfHour(span.Timestamp), span.TraceId) IN
        (
            SELECT
                Project,
                -- include hours_of_runs
                , TraceId
            FROM lookup
            WHERE NOT Endless
        )
        OR (span.Project, span.TraceId) IN (SELECT Project, TraceId FROM lookup WHERE Endless))
    GROUP BY span.Project, span.TraceId
) AS run
ARRAY JOIN run.Hours AS Hour
SETTINGS
    max_threads = 1,
    max_insert_threads = 1,
    max_partitions_per_insert_block = 0,
    do_not_merge_across_partitions_select_final = 1,
    optimize_move_to_prewhere_if_final = 1
