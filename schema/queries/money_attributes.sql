-- Which of the attributes `keys` the calls have that a project made in a period, on their spans or their resources.
SELECT arrayJoin(groupUniqArrayArray(arrayFilter(
    key -> mapContains(SpanAttributes, key) OR mapContains(ResourceAttributes, key), {keys:Array(String)}))) AS Key
FROM otel_traces
WHERE Project = {project:String}
  AND Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND Timestamp < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
  AND PriceStatus IN ('priced', 'reported', 'unknown_model')
  AND (hasAny(mapKeys(SpanAttributes), {keys:Array(String)}) OR hasAny(mapKeys(ResourceAttributes), {keys:Array(String)}))
