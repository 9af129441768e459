-- What the calls of some leases have spent, each by calls of its own project: `leases` and `projects` are parallel arrays.
-- A call without the lease's attribute is paid by the lease its run names: the earliest span of the run that names one.
-- Read by: the start, for the leases that were open.
WITH runs AS
(
    SELECT Project, TraceId, argMin(SpanAttributes['spanmeter.lease'], (Timestamp, SpanId)) AS Lease,
        max(ParentSpanId = '') AS Finished
    FROM otel_traces FINAL
    WHERE Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
      AND SpanAttributes['spanmeter.lease'] != ''
    GROUP BY Project, TraceId
)
SELECT
    if(call.SpanAttributes['spanmeter.lease'] = '', runs.Lease, call.SpanAttributes['spanmeter.lease']) AS Lease,
    toString(sum(ifNull(call.Cost, 0))) AS Cost,
    toString(sum(toUInt128(call.InputTokens) + call.OutputTokens)) AS Tokens,
    count() AS Calls,
    countIf(call.UnpricedCall) AS Unpriced,
    max(runs.Finished) AS Finished
FROM otel_traces AS call FINAL
INNER JOIN runs ON call.Project = runs.Project AND call.TraceId = runs.TraceId
WHERE call.Timestamp >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')
  AND (call.PriceStatus IN ('priced', 'reported') OR call.UnpricedCall)
GROUP BY call.Project, Lease
HAVING has(arrayZip({projects:Array(String)}, {leases:Array(String)}), (toString(call.Project), Lease))
