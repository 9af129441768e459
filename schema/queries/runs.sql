-- Of some traces of a project the runs that began in [`since`, `until`), not before the hour of `floor`, and come after
-- the run (`after`, `after_id`): newest first, then by trace id. The columns are those of the view `runs`, which reads
-- every hour of the table; here the lookup names the hours of each trace, which is what the sort key can use.
-- Traces that last for months, which broken clocks make, are looked for in every hour.
WITH lookup AS
(
    SELECT TraceId, min(Start) AS First, max(End) AS Last, dateDiff('hour', First, Last) > 2000 AS Endless
    FROM otel_traces_trace_id_ts
    WHERE TraceId IN {trace_ids:Array(String)}
    GROUP BY TraceId
)
SELECT *
FROM
(
    SELECT
        span.Project AS Project,
        span.TraceId AS TraceId,
        min(span.Timestamp) AS Start,
        max(addNanoseconds(span.Timestamp, toInt64(least(span.Duration, 2000000000000000000)))) AS End,
        toUInt64(max(toUnixTimestamp64Nano(span.Timestamp) + toInt64(least(span.Duration, 2000000000000000000)))
            - min(toUnixTimestamp64Nano(span.Timestamp))) AS Duration,
        count() AS Spans,
        countIf(span.StatusCode = 'Error') AS Errors,
        countIf(span.PriceStatus IN ('priced', 'reported', 'unknown_model')
            OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage')) AS LlmCalls,
        countIf(span.Kind = 'tool') AS ToolCalls,
        sumIf(span.InputTokens, span.PriceStatus != 'rolled_up') AS InputTokens,
        sumIf(span.OutputTokens, span.PriceStatus != 'rolled_up') AS OutputTokens,
        sum(span.Cost) AS Cost,
        countIf(span.PriceStatus = 'unknown_model'
            OR (span.Kind = 'llm' AND span.PriceStatus = 'no_usage' AND span.StatusCode != 'Error')) AS UnpricedCalls,
        arraySort(groupUniqArrayIf(if(span.ResponseModel = '', span.RequestModel, span.ResponseModel),
            span.PriceStatus NOT IN ('rolled_up', 'not_a_call')
                AND (span.ResponseModel != '' OR span.RequestModel != ''))) AS Models,
        argMin(span.SpanName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS RootName,
        argMin(span.ServiceName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS ServiceName,
        argMinIf(span.AgentName, (span.Timestamp, span.SpanId), span.AgentName != '') AS AgentName,
        argMinIf(span.Feature, (span.Timestamp, span.SpanId), span.Feature != '') AS Feature,
        argMinIf(span.UserId, (span.Timestamp, span.SpanId), span.UserId != '') AS UserId,
        argMinIf(span.ConversationId, (span.Timestamp, span.SpanId), span.ConversationId != '') AS ConversationId
    FROM otel_traces AS span FINAL
    WHERE span.Project = {project:String}
      AND ((toStartOfHour(span.Timestamp), span.TraceId) IN
          (
              SELECT
                  arrayJoin(arrayMap(
                      second -> toDateTime(second),
                      range(toUnixTimestamp(toStartOfHour(First)), toUnixTimestamp(Last) + 1, 3600))),
                  TraceId
              FROM lookup
              WHERE NOT Endless
          )
          OR span.TraceId IN (SELECT TraceId FROM lookup WHERE Endless))
    GROUP BY span.Project, span.TraceId
) AS run
WHERE run.Start >= toStartOfHour({floor:DateTime})
  AND toUnixTimestamp64Nano(run.Start) >= {since:Int64}
  AND toUnixTimestamp64Nano(run.Start) < {until:Int64}
  AND (toUnixTimestamp64Nano(run.Start) < {after:Int64}
      OR (toUnixTimestamp64Nano(run.Start) = {after:Int64} AND run.TraceId > {after_id:String}))
  AND ({model:String} = '' OR has(run.Models, {model:String}))
  AND ({feature:String} = '' OR run.Feature = {feature:String})
ORDER BY run.Start DESC, run.TraceId
LIMIT {limit:UInt64}
