-- A part: the last hour in which a run that began in the hours [`floor`, `ceiling`) has spans.
SELECT toStartOfHour(max(End))
FROM
(
    -- include current_runs
)
