-- It waits no longer; from now on it is the same for all endpoints.
UPDATE events SET described = 1 WHERE id = ?
