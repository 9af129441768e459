UPDATE endpoints SET disabled_at = NULL, reason = ''
WHERE name IN (
    SELECT endpoint FROM deliveries
    WHERE (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)))
        AND (:endpoint IS NULL OR endpoint = :endpoint)
        AND (:since IS NULL OR event_id IN (SELECT id FROM events WHERE created_ns >= :since))
        AND (NOT :failed OR state != 'delivered')
        AND (:ids IS NOT NULL OR event_id NOT IN (SELECT id FROM events WHERE type = 'webhook.test'))
)
