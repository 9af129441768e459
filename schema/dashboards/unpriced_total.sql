SELECT sum(UnpricedCalls) AS Unpriced
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
