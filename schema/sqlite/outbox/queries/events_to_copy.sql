SELECT
    seq,
    id AS Id,
    project AS Project,
    type AS Type,
    budget AS Budget,
    scope AS Scope,
    threshold AS Threshold,
    period_start AS PeriodStart,
    period_end AS PeriodEnd,
    created_ns AS CreatedAt,
    webhooks AS Webhooks,
    data AS Data
FROM events WHERE copied = 0 AND described = 1 ORDER BY seq LIMIT ?
