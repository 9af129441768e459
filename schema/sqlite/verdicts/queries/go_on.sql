UPDATE verdicts SET after = ? WHERE number = ?
