DELETE FROM deliveries WHERE state IN ('delivered', 'failed') AND finished_at < ?
