SELECT number, verdicts, bytes FROM verdicts ORDER BY number LIMIT 1
