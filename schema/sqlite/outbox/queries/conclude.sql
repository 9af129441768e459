UPDATE deliveries
SET state = ?, next_at = ?, finished_at = ?, attempts = attempts + 1, tries = tries + 1, claimed_until = 0
WHERE id = ?
