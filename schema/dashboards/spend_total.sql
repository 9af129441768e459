SELECT toFloat64(sum(Cost)) AS Cost
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
