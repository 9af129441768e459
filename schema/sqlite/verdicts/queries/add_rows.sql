INSERT INTO verdicts (at, stored, verdicts, bytes, rows, project, evaluator, batch) VALUES (?, 0, ?, ?, ?, '', '', '') RETURNING number
