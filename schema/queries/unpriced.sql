-- Models that were called and have no price, most calls first.
SELECT Provider, if(ResponseModel = '', RequestModel, ResponseModel) AS Model, count() AS Calls
FROM otel_traces FINAL
WHERE PriceStatus = 'unknown_model'
  AND ({project:String} = '' OR Project = {project:String})
GROUP BY Provider, Model
ORDER BY Calls DESC, Provider, Model
LIMIT 1000
