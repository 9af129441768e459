-- A call whose cost is not known: of a model without a price, or one that does not say what it used. A failed call that
-- used nothing costs nothing. This is the definition: lists of runs, spend and budgets count by it.
ALTER TABLE otel_traces
    ADD COLUMN IF NOT EXISTS UnpricedCall Bool
        ALIAS PriceStatus = 'unknown_model' OR (Kind = 'llm' AND PriceStatus = 'no_usage' AND StatusCode != 'Error');

-- As before, but for UnpricedCalls.
CREATE OR REPLACE VIEW runs AS
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
    countIf(span.UnpricedCall) AS UnpricedCalls,
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
