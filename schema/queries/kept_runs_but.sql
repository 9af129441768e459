-- A part: as kept_runs, without the runs of which the kept sums are not those of their spans.
SELECT *
FROM
(
    -- include kept_runs
)
WHERE TraceId NOT IN
(
    -- include unsummed_runs
)
