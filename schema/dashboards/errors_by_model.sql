SELECT $__timeInterval(Hour) AS time, Model, sum(Errors) AS Failed
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
GROUP BY time, Model
HAVING Failed > 0
ORDER BY time
