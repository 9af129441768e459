-- Project: the only one whose calls counted in the budget's scope, so that its readers see the event; empty where several
-- may have, and for events of before.
ALTER TABLE budget_events ADD COLUMN IF NOT EXISTS Project LowCardinality(String) AFTER Id;

CREATE OR REPLACE VIEW budget_history
SQL SECURITY INVOKER
AS SELECT
    event.Project AS Project, event.Id AS Id, event.CreatedAt AS Timestamp, event.Type AS Type, event.Budget AS Budget,
    event.Scope AS Scope, event.PeriodStart AS PeriodStart, event.PeriodEnd AS PeriodEnd, event.Threshold AS Threshold,
    JSONExtractString(event.Data, 'unit') AS Unit,
    toDecimal128OrNull(JSONExtractString(event.Data, 'spend'), 12) AS Spend,
    toDecimal128OrNull(JSONExtractString(event.Data, 'limit'), 12) AS Limit,
    JSONExtractUInt(event.Data, 'calls') AS Calls, JSONExtractUInt(event.Data, 'unpriced_calls') AS UnpricedCalls,
    CAST(JSONExtractBool(event.Data, 'hard'), 'Bool') AS IsHard, event.Webhooks AS Webhooks, event.Data AS Data
FROM budget_events AS event FINAL
COMMENT 'What budgets told, one row an event. Of budgets that projects share, administrators see it alone.';

ALTER TABLE budget_history
    COMMENT COLUMN Project 'The only project whose calls counted; empty where several may have.',
    COMMENT COLUMN Id 'Id of the event; a webhook carries it too.',
    COMMENT COLUMN Timestamp 'When it was decided, UTC.',
    COMMENT COLUMN Type 'budget.threshold_reached, budget.breached, budget.forecast, ...',
    COMMENT COLUMN Budget 'Name of the budget.',
    COMMENT COLUMN Scope 'Values of the dimensions that the budget counts by, in the order of its per.',
    COMMENT COLUMN PeriodStart 'When its period begins, UTC.',
    COMMENT COLUMN PeriodEnd 'When its period ends, UTC.',
    COMMENT COLUMN Threshold 'Fraction of the limit that was reached; empty for other events.',
    COMMENT COLUMN Unit 'What spend and limit count: usd or tokens.',
    COMMENT COLUMN Spend 'What was spent in the period, in the unit.',
    COMMENT COLUMN Limit 'The limit, in the unit.',
    COMMENT COLUMN Calls 'Calls that counted.',
    COMMENT COLUMN UnpricedCalls 'Of them, those whose cost is not known.',
    COMMENT COLUMN IsHard 'Whether the budget refuses runs.',
    COMMENT COLUMN Webhooks 'Endpoints that the event went to.',
    COMMENT COLUMN Data 'The event as its webhook has it, JSON.';
