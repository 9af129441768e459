-- How many runs an evaluator selects, and how many of them are judged now, in the order that decides.
SELECT
    countIf(NOT Drawn) AS NotDrawn, countIf(Drawn AND NOT Settled) AS NotSettled,
    countIf(Drawn AND Settled AND Known) AS KnownRuns, countIf(Drawn AND Settled AND NOT Known) AS Selected
FROM
(
    -- include evals_by_columns
)
