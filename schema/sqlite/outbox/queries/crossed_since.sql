SELECT DISTINCT period_start, period_end, scope FROM events
WHERE budget = ? AND period_start >= ? AND type IN ('budget.threshold_reached', 'budget.breached')
    AND created_ns < period_end
