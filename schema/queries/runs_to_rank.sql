-- A part: the runs of a list.
SELECT *
FROM
(
    -- include current_runs
)
