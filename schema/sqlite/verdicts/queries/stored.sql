UPDATE verdicts SET stored = 1 WHERE number = ?
