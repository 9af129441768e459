SELECT $__timeInterval(Hour) AS time, Model, toFloat64(sum(Cost)) AS Cost
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
GROUP BY time, Model
ORDER BY time
