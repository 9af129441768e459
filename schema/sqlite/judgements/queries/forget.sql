DELETE FROM judgements WHERE number = ?
