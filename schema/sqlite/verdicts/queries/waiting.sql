-- The oldest that can be sent, of about so many bytes and entries.
SELECT number, stored, rows, project, evaluator, batch, after
FROM verdicts
WHERE number IN
(
    SELECT number
    FROM (
        SELECT number, bytes, SUM(bytes) OVER (ORDER BY number) AS until
        FROM verdicts
        WHERE stored = 1 OR at < ?
    )
    WHERE until - bytes < ?
    ORDER BY number
    LIMIT ?
)
ORDER BY number
