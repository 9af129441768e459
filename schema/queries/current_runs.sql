-- A part: as kept_runs, but the runs of which the kept sums are not those of their spans are made from their spans.
SELECT *
FROM
(
    -- include kept_runs_but
)
UNION ALL
SELECT *
FROM
(
    -- include changed_runs
)
WHERE toStartOfHour(Start) >= toStartOfHour({floor:DateTime})
  AND toStartOfHour(Start) < toStartOfHour({ceiling:DateTime})
