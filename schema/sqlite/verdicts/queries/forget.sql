DELETE FROM verdicts WHERE number = ?
