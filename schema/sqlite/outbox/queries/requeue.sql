UPDATE deliveries SET state = 'pending', tries = 0, queued_at = :now, next_at = 0, finished_at = NULL
WHERE (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)))
    AND (:endpoint IS NULL OR endpoint = :endpoint)
    AND (:since IS NULL OR event_id IN (SELECT id FROM events WHERE created_ns >= :since))
    AND (NOT :failed OR state != 'delivered')
    AND (:ids IS NOT NULL OR event_id NOT IN (SELECT id FROM events WHERE type = 'webhook.test'))
