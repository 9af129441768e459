SELECT name, disabled_at, reason FROM endpoints WHERE disabled_at IS NOT NULL ORDER BY name
