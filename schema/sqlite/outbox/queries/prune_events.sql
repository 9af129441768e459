DELETE FROM events WHERE keep_from < ?
