SELECT COUNT(*) AS entries, COALESCE(SUM(verdicts), 0) AS verdicts, COALESCE(SUM(bytes), 0) AS bytes,
    COALESCE(MIN(at), 0) AS oldest
FROM verdicts
