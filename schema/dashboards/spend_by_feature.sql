SELECT
    if(Feature = '', '(none)', Feature) AS Name,
    toFloat64(sum(Cost)) AS Cost,
    sum(Calls) AS Calls,
    sum(UnpricedCalls) AS Unpriced
FROM spend_hourly
WHERE $__timeFilter(Hour) AND Purpose = ''
GROUP BY Name
ORDER BY Cost DESC
LIMIT 20
