-- The traces of the last hour with a span that was not made for the product, newest first, but for those of the scope
-- `scope`. Read by: the start, so that spans which come later below it are known to be no product's.
SELECT Project, TraceId
FROM otel_traces
WHERE Timestamp > now() - INTERVAL 1 HOUR AND Timestamp < now() + INTERVAL 1 HOUR
  AND Purpose != '' AND ScopeName != {scope:String} AND TraceId != ''
GROUP BY Project, TraceId
ORDER BY max(Timestamp) DESC
LIMIT {limit:UInt64}
