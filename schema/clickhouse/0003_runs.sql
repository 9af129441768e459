-- One row a run (trace), from the spans as they stand now: right whatever the order of arrival, after re-delivery and
-- after re-pricing, because it is a query over FINAL and not a sum kept on the side.
--
-- What a span says of the whole run (agent, feature, user, conversation) counts for the run; of several, the earliest.
-- Tokens and calls leave out spans that only repeat the usage of others (PriceStatus rolled_up).
CREATE VIEW IF NOT EXISTS runs AS
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
        span.PriceStatus NOT IN ('rolled_up', 'not_a_call') AND (span.ResponseModel != '' OR span.RequestModel != '')))
        AS Models,
    argMin(span.SpanName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS RootName,
    argMin(span.ServiceName, (span.ParentSpanId != '', span.Timestamp, span.SpanId)) AS ServiceName,
    argMinIf(span.AgentName, (span.Timestamp, span.SpanId), span.AgentName != '') AS AgentName,
    argMinIf(span.Feature, (span.Timestamp, span.SpanId), span.Feature != '') AS Feature,
    argMinIf(span.UserId, (span.Timestamp, span.SpanId), span.UserId != '') AS UserId,
    argMinIf(span.ConversationId, (span.Timestamp, span.SpanId), span.ConversationId != '') AS ConversationId
FROM otel_traces AS span FINAL
GROUP BY span.Project, span.TraceId;
