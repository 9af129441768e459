SELECT count() AS Breaches
FROM budget_history
WHERE $__timeFilter(Timestamp) AND Type = 'budget.breached'
